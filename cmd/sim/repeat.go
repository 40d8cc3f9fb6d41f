package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"bluetrace/reports"
)

// repeatCommand is what a shell runs to have the same run again, as far as a live
// one is ever the same. program is quoted already.
func repeatCommand(program string, seed uint64, f *runFlags, file string) string {
	words := []string{program, "run", "--seed", strconv.FormatUint(seed, 10)}
	if f.onSockets {
		words = append(words, "--live")
	}
	if f.server != "" {
		words = append(words, "--server", shellQuoted(f.server), "--credentials", shellQuoted(f.accounts))
	}
	if d := f.loading.Duration; d > 0 {
		words = append(words, "--duration", d.String())
	}
	if r := f.loading.Rate; r > 0 {
		words = append(words, "--rate", strconv.FormatFloat(r, 'f', -1, 64))
	}
	for _, set := range f.sets {
		words = append(words, "--set", shellQuoted(set))
	}
	if strings.HasPrefix(file, "-") {
		file = "./" + file
	}
	return strings.Join(append(words, shellQuoted(file)), " ")
}

// calledAs is how the program can be called again: by `go run` when that is
// what built it, else as it was called. exists says whether a file is there.
func calledAs(argument0 string, exists func(path string) bool) string {
	for element := range strings.SplitSeq(filepath.ToSlash(filepath.Dir(argument0)), "/") {
		if !strings.HasPrefix(element, "go-build") {
			continue
		}
		if exists("cmd/sim/main.go") {
			return "go run ./cmd/sim"
		}
		return "go run bluetrace/cmd/sim"
	}
	return shellQuoted(argument0)
}

func isFile(path string) bool {
	stat, err := os.Stat(path)
	return err == nil && stat.Mode().IsRegular()
}

// shellQuoted is word as a POSIX shell takes it; one with anything unprintable
// in the form $'...', which bash, zsh and the shells of POSIX 2024 know.
func shellQuoted(word string) string {
	if word != "" && strings.Trim(word, safeInShell) == "" {
		return word
	}
	if reports.Escape(word) == word {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for _, c := range []byte(word) {
		switch {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

const safeInShell = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%"
