package nodes

// Stage is where a phone's program stands.
type Stage uint8

// The stages.
const (
	StageOffline      Stage = iota // no session with the server
	StageConnecting                // the connection is not there yet
	StageAtUsername                // waits for a typed username
	StageAtPassword                // waits for a typed password
	StageWaitingLogin              // both are typed; waits for the answer
	StageReady                     // at the command prompt
	StageBusy                      // a command's answer is awaited
	StageLoggedOut                 // receives beacons; what is typed is ignored
)

func (s Stage) String() string {
	return nameOf(int(s), "offline", "connecting", "at username", "at password", "waiting for login", "ready", "busy", "logged out")
}
