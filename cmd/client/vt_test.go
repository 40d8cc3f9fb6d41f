package main

import (
	"strconv"
	"strings"
)

// vt is a simulated terminal with the functions that the editor and the client use.
type vt struct {
	width    int
	lines    [][]byte
	row, col int
}

// drawn returns the screen of a terminal of this width after output, without empty
// lines at its end. A "|" marks the cursor.
func drawn(width int, output string) string {
	v := &vt{width: width, lines: [][]byte{nil}}
	for len(output) > 0 {
		output = v.take(output)
	}
	line := v.lines[v.row]
	for len(line) < v.col {
		line = append(line, ' ')
	}
	v.lines[v.row] = []byte(string(line[:v.col]) + "|" + string(line[v.col:]))
	var text []string
	for _, line := range v.lines {
		text = append(text, strings.TrimRight(string(line), " "))
	}
	return strings.TrimRight(strings.Join(text, "\n"), "\n")
}

// take handles the first character or sequence of output and returns the rest.
func (v *vt) take(output string) string {
	switch c := output[0]; c {
	case '\r':
		v.col = 0
	case '\n':
		v.down(1)
	case escape:
		return v.sequence(output)
	default:
		v.put(c)
		v.col++
	}
	return output[1:]
}

func (v *vt) down(n int) {
	v.row += n
	for v.row >= len(v.lines) {
		v.lines = append(v.lines, nil)
	}
}

func (v *vt) put(c byte) {
	if v.col == v.width {
		v.col = 0
		v.down(1)
	}
	line := v.lines[v.row]
	for len(line) <= v.col {
		line = append(line, ' ')
	}
	line[v.col] = c
	v.lines[v.row] = line
}

func (v *vt) sequence(output string) string {
	end := strings.IndexFunc(output[2:], func(r rune) bool { return r >= 'A' }) + 2
	n, err := strconv.Atoi(output[2:end])
	if err != nil {
		n = 1
	}
	switch output[end] {
	case 'A':
		v.row -= n
	case 'B':
		v.down(n)
	case 'C':
		v.col += n
	case 'D':
		v.col -= n
	case 'K':
		v.lines[v.row] = v.lines[v.row][:min(v.col, len(v.lines[v.row]))]
	default:
		panic("no such sequence: " + strconv.Quote(output[:end+1]))
	}
	return output[end+1:]
}
