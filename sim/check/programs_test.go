package check

import (
	"testing"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// typedAndSent returns events in which the program of anna, in a session, gets the
// typed lines and then sends the given texts.
func typedAndSent(lines []string, sends ...string) func(w *rig) {
	return func(w *rig) {
		w.ProgramOpened(0, 0)
		w.ProgramConnects(0, 0, 0)
		w.attempt(0, 0, "right", protocol.Welcome)
		for _, line := range lines {
			w.LineTyped(int64(second), 0, line)
		}
		for _, text := range sends {
			w.PhoneSent(int64(second), 0, []byte(text))
		}
	}
}

func TestCommandsSentOnce(t *testing.T) {
	const (
		from, to = "30/07/2020 09:00:00", "30/07/2020 09:15:00"
		up, down = protocol.CommandUpload, protocol.CommandDownload
	)
	again := []Invariant{CommandsSentOnce}
	checkHistories(t, []history{
		{"an upload of two entries", typedAndSent([]string{up, down}, up, "6", idOne, from, to, idTwo, from, to, down),
			nil},
		{"an empty one", typedAndSent([]string{up, "log out"}, up, "0", "log out"), nil},
		{"log out, in its other form", typedAndSent([]string{"logout"}, "log out"), nil},
		{"a typed command is not sent", typedAndSent([]string{up, down}, down), nil},
		{"a command is sent again", typedAndSent([]string{up}, up, "0", up), again},
		{"a command that was not typed", typedAndSent([]string{down}, up), again},
		{"the count again", typedAndSent([]string{up}, up, "3", "3"), again},
		{"a TempID again", typedAndSent([]string{up}, up, "3", idOne, idOne), again},
		{"a start again", typedAndSent([]string{up}, up, "6", idOne, from, from, to), again},
		{"the last line again", typedAndSent([]string{up}, up, "3", idOne, from, to, to), again},
		{"no count", typedAndSent([]string{up}, up, idOne), again},
		{"lines that are no entries", typedAndSent([]string{up}, up, "2"), again},
		{"a password, where a piece of the last one was right", func(w *rig) {
			w.ProgramConnects(0, 0, 0)
			w.opens(0, 0)
			w.exchange(0, 0, "not-", protocol.TryAgain)
			w.exchange(0, 0, "right", protocol.Welcome)
			w.PhoneSent(int64(second), 0, []byte("right"))
		}, nil},
		{"a password, behind the right one", typedAndSent(nil, "right"), again},
		{"before it is welcomed", func(w *rig) {
			w.ProgramConnects(0, 0, 0)
			w.PhoneSent(0, 0, []byte("anna"))
			w.PhoneSent(0, 0, []byte(up))
		}, nil},
		{"typed before the session", func(w *rig) {
			w.LineTyped(0, 0, up)
			typedAndSent(nil, up)(w)
		}, again},
		{"a session that moved", func(w *rig) {
			typedAndSent([]string{up}, up)(w)
			w.SessionMoved(int64(second), 1, 0)
			w.PhoneSent(int64(second), 1, []byte("0"))
		}, nil},
		{"a session that moved with its upload", func(w *rig) {
			typedAndSent([]string{up}, up)(w)
			w.SessionMoved(int64(second), 1, 0)
			w.PhoneSent(int64(second), 1, []byte(up))
		}, again},
	})
}

func TestTempIDStays(t *testing.T) {
	const none = "you do not have valid tempid"
	shows := func(then func(w *rig)) func(w *rig) {
		return func(w *rig) {
			w.PhonePrinted(0, 0, none)
			w.PhonePrinted(int64(second), 0, "TempID:\n"+idOne)
			then(w)
		}
	}
	gone := []Invariant{TempIDStays}
	checkHistories(t, []history{
		{"before a download", func(w *rig) { w.PhonePrinted(0, 0, none) }, nil},
		{"after one", shows(func(w *rig) { w.PhonePrinted(int64(2*second), 0, none) }), gone},
		{"in another session", shows(func(w *rig) {
			w.ProgramOpened(int64(2*second), 0)
			w.PhonePrinted(int64(2*second), 0, none)
		}), gone},
		{"with the session of another program", shows(func(w *rig) {
			w.SessionMoved(int64(2*second), 0, 1)
			w.PhonePrinted(int64(2*second), 1, none)
			w.PhonePrinted(int64(2*second), 0, none)
		}), gone},
		{"another program, whose session went on", shows(func(w *rig) {
			w.SessionMoved(int64(2*second), 1, 0)
			w.PhonePrinted(int64(2*second), 1, none)
		}), nil},
		{"a program that was started again", shows(func(w *rig) {
			w.PhoneStopped(int64(2*second), 0)
			w.PhonePrinted(int64(3*second), 0, none)
		}), nil},
	})
}

// TestOwedAnswers: the program has given up one download and sends another command. The answer to the first comes late.
func TestOwedAnswers(t *testing.T) {
	const up, down = protocol.CommandUpload, protocol.CommandDownload
	sends := func(w *rig, text string) { w.PhoneSent(int64(second), 0, []byte(text)) }
	owing := func(next string, then func(w *rig)) func(w *rig) {
		return func(w *rig) {
			typedAndSent([]string{down, next}, down, next)(w)
			then(w)
		}
	}
	answers := func(w *rig, texts ...string) {
		for _, text := range texts {
			w.ServerSent(int64(second), 0, []byte(text))
		}
	}
	shows := func(w *rig, id string) { w.PhonePrinted(int64(second), 0, "TempID:\n"+id) }
	taken := []Invariant{OwedAnswers}
	checkHistories(t, []history{
		{"the second answers the second", owing(down, func(w *rig) {
			answers(w, idOne, idTwo)
			shows(w, idTwo)
		}), nil},
		{"the first answers the second", owing(down, func(w *rig) {
			answers(w, idOne)
			shows(w, idOne)
		}), taken},
		{"the first, although the second was sent", owing(down, func(w *rig) {
			answers(w, idOne, idTwo)
			shows(w, idOne)
		}), taken},
		{"an upload that is acknowledged", owing(up, func(w *rig) {
			answers(w, idOne, protocol.Ack)
			sends(w, "3")
			answers(w, protocol.Ack)
			sends(w, idTwo)
		}), nil},
		{"the first acknowledges an upload", owing(up, func(w *rig) {
			answers(w, idOne)
			sends(w, "3")
		}), taken},
		{"a line before the count is acknowledged", owing(up, func(w *rig) {
			answers(w, idOne, protocol.Ack)
			sends(w, "3")
			sends(w, idTwo)
		}), taken},
		{"a new connection owes nothing", owing(down, func(w *rig) {
			w.ProgramConnects(int64(2*second), 0, 1)
			w.attempt(2*second, 1, "right", protocol.Welcome)
			w.LineTyped(int64(2*second), 0, down)
			w.PhoneSent(int64(2*second), 0, []byte(down))
			w.ServerSent(int64(2*second), 1, []byte(idOne))
			w.PhonePrinted(int64(2*second), 0, "TempID:\n"+idOne)
		}), nil},
		{"a server that was killed", owing(down, func(w *rig) {
			answers(w, idOne)
			w.ServerStopped(int64(second))
			shows(w, idOne)
		}), nil},
	})
}

func TestPasswordsAnswered(t *testing.T) {
	w := newRig(t)
	w.attempt(0, 0, "wrong", protocol.TryAgain)
	w.StoreAnswered(0, 0)
	if n := w.Evaluated(PasswordsAnswered); n != 1 {
		t.Errorf("a password that is answered was looked at %d times, want 1", n)
	}
	checkHistories(t, []history{
		{"answered", func(w *rig) {
			w.attempt(0, 0, "wrong", protocol.TryAgain)
			w.StoreAnswered(0, 0)
		}, nil},
		{"not answered", func(w *rig) {
			w.Accepted(0, 0)
			w.ServerRead(0, 0, []byte("anna"))
			w.ServerRead(0, 0, []byte("wrong"))
			w.StoreAnswered(0, 0)
		}, []Invariant{PasswordsAnswered}},
		{"also of an account whose count is uncertain", func(w *rig) {
			w.Accepted(0, 0)
			w.ServerRead(0, 0, []byte("anna"))
			w.ServerRead(0, 0, []byte("wrong"))
			w.read(second, nil)
			w.Accepted(0, 0)
			w.ServerRead(0, 0, []byte("anna"))
			w.ServerRead(0, 0, []byte("wrong"))
			w.StoreAnswered(0, 0)
		}, []Invariant{PasswordsAnswered}},
	})
}

func TestNothingGrows(t *testing.T) {
	grown := []Invariant{NothingGrows}
	server := func(h world.ServerHolds) func(w *rig) {
		return func(w *rig) {
			w.Accepted(0, 0)
			w.ServerRead(0, 0, []byte("nobody"))
			w.ServerHolds(0, h)
		}
	}
	phone := func(h world.PhoneHolds) func(w *rig) {
		return func(w *rig) {
			w.keepBeacon(0, '1', w.logOf(entry{'1', 0}))
			w.PhoneHolds(0, 0, h)
		}
	}
	usage := nodes.Usage{Sessions: 2, WithDeadline: 2, PendingStores: 1, CountedUploadBytes: 58, UploadBytes: 58,
		UnknownNames: 1}
	with := func(change func(u *nodes.Usage)) world.ServerHolds {
		u := usage
		change(&u)
		return world.ServerHolds{Usage: u, Connections: 2, UnansweredStores: 1}
	}
	checkHistories(t, []history{
		{"as much as there is", server(with(func(*nodes.Usage) {})), nil},
		{"a session too many", server(with(func(u *nodes.Usage) { u.Sessions, u.WithDeadline = 3, 3 })), grown},
		{"a connection without a session", server(with(func(u *nodes.Usage) { u.Sessions, u.WithDeadline = 1, 1 })),
			grown},
		{"a session without a limit", server(with(func(u *nodes.Usage) { u.WithDeadline = 1 })), grown},
		{"a store that is never answered", server(with(func(u *nodes.Usage) { u.PendingStores = 2 })), grown},
		{"bytes of an upload that is over", server(with(func(u *nodes.Usage) { u.UploadBytes = 0 })), grown},
		{"a name too many", server(with(func(u *nodes.Usage) { u.UnknownNames = 2 })), grown},
		{"a long attempts.txt", server(world.ServerHolds{AttemptsFile: 1 << 20}), grown},
		{"a disk that failed often", server(world.ServerHolds{AttemptsFile: 1 << 20, DiskFailures: 1000}), nil},
		{"the phone's files", phone(world.PhoneHolds{Entries: 1, LogFile: 61, Journal: 28 + 61 + 20}), nil},
		{"a journal of two", phone(world.PhoneHolds{Entries: 2, LogFile: 61}), grown},
		{"a long log", phone(world.PhoneHolds{Entries: 1, LogFile: 122}), grown},
		{"a long journal", phone(world.PhoneHolds{Entries: 1, LogFile: 61, Journal: 200}), grown},
	})
}
