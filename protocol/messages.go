package protocol

// The texts of PROTOCOL.md section 2, exact, without a newline.
const (
	Welcome    = "Welcome to the BlueTrace Simulator!"
	TryAgain   = "Invalid Password. Please try again"
	NowBlocked = "Invalid Password. Your account has been blocked. Please try again later"
	IsBlocked  = "Your account is blocked due to multiple login failures. Please try again later"
	Ack        = "1"

	CommandDownload     = "Download_tempID"
	CommandUpload       = "Upload_contact_log"
	CommandLogout       = "log out"
	CommandLogoutJoined = "logout"
)

// MaxMessage is the largest TCP message, and the most that is read at once, in
// bytes.
const MaxMessage = 1024
