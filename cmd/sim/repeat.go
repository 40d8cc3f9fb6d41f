package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"bluetrace/reports"
)

// repeatCommand returns the shell command that repeats a run. A live run never
// repeats exactly. program is quoted already.
func repeatCommand(program string, seed uint64, f *runFlags, file string) string {
	words := []string{program, "run", "--seed", strconv.FormatUint(seed, 10)}
	if f.onSockets {
		words = append(words, "--live")
	}
	if f.server != "" {
		words = append(words, "--server", shellQuoted(f.server), "--credentials", shellQuoted(f.credentials))
	}
	if f.command != "" {
		words = append(words, "--server-command", shellQuoted(f.command))
	}
	if f.dialect != "" {
		words = append(words, "--dialect", shellQuoted(f.dialect))
	}
	if d := f.load.Duration; d > 0 {
		words = append(words, "--duration", d.String())
	}
	if r := f.load.Rate; r > 0 {
		words = append(words, "--rate", strconv.FormatFloat(r, 'f', -1, 64))
	}
	return commandLine(words, f.sets, file)
}

// commandLine returns the shell command of some words, the values of --set, and a
// file. It quotes the values and the file, so that the file is not read as a flag.
func commandLine(words, sets []string, file string) string {
	for _, set := range sets {
		words = append(words, "--set", shellQuoted(set))
	}
	if strings.HasPrefix(file, "-") && file != standardInput {
		file = "./" + file
	}
	return strings.Join(append(words, shellQuoted(file)), " ")
}

// calledAs returns the command that starts the program again: "go run" with the
// package if "go run" built the program, or else argument0, the path of the program.
// exists reports whether a file exists.
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

// isFile reports whether path is a regular file.
func isFile(path string) bool {
	stat, err := os.Stat(path)
	return err == nil && stat.Mode().IsRegular()
}

// shellQuoted quotes a word for a POSIX shell. A word with unprintable characters
// gets the form $'...', which bash, zsh and the shells of POSIX 2024 read.
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
