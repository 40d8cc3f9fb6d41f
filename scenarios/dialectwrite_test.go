package scenarios

import (
	"reflect"
	"testing"
	"time"

	"bluetrace/protocol/dialect"
)

// TestWriteDialects: the file that DialectYAML makes of each dialect of the program is the same dialect.
func TestWriteDialects(t *testing.T) {
	for _, name := range DialectNames() {
		t.Run(name, func(t *testing.T) {
			want, err := LoadDialect(name)
			if err != nil {
				t.Fatal(err)
			}
			checkWritten(t, &want.Dialect)
		})
	}
}

// checkWritten writes d, reads it, and requires the same dialect.
func checkWritten(t *testing.T, d *dialect.Dialect) {
	t.Helper()
	text, err := DialectYAML(d, "a wire")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDialect(d.Name, text)
	if err != nil || got.About != "a wire" || !reflect.DeepEqual(&got.Dialect, d) {
		t.Errorf("%v\n%s\n%+v\n%+v", err, text, &got.Dialect, d)
	}
}

// TestWriteRareKeys: texts with signs that YAML or the language would misread, and the keys that the dialects of the
// program lack.
func TestWriteRareKeys(t *testing.T) {
	tmpl := func(text string) dialect.Template {
		p, err := dialect.ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	say := func(text string) dialect.Step { return dialect.Step{Kind: dialect.Send, Text: tmpl(text)} }
	get := func(text string) dialect.Step { return dialect.Step{Kind: dialect.Receive, Text: tmpl(text)} }
	two := 2
	d := &dialect.Dialect{
		Name: "rare", Client: dialect.Framing{Kind: dialect.Columns, Size: 5},
		Login: []dialect.Step{
			get("1"), say("${x} {user}\r\n\t\x01 'a' \"b\" {password}"), {Kind: dialect.Pause, Pause: time.Second},
		},
		Again:  []dialect.Step{{Kind: dialect.Reconnect}, say("é: {password} #")},
		Beacon: []dialect.Step{say("true"), get("~"), say("{tempid}{start}{expiry}1")},
		Typed:  dialect.Typed{Logout: []string{"log out"}, Login: []string{"Login", "{user}", "{password}"}},
		Files:  []string{"tempIDs.txt"},
		Upload: []dialect.Step{{Kind: dialect.SendInt}, {Kind: dialect.ReceiveInt, Int: &two}},
		Entry:  tmpl("{tempid}, "), Join: "\n", Times: "2006-01-02T15:04:05", Zone: time.UTC,
		Lifetime:   15 * time.Minute,
		SameTempID: true,
	}
	d.Outcomes[dialect.Welcome] = [][]dialect.Step{{get("no")}, {get("a{*}"), {Kind: dialect.ReceiveInt, Int: &two}}}
	d.Outcomes[dialect.Wrong] = [][]dialect.Step{{get("wrong: \n")}}
	checkWritten(t, d)
	d.Login[0] = get("\xff")
	if text, err := DialectYAML(d, ""); err == nil {
		t.Errorf("written: %s", text)
	}
}
