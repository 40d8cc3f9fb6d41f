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
	words := shellWords{program, "run"}
	if crew := f.load.Generators; crew != nil {
		words = shellWords{"fleet", "run", "--workers", strconv.Itoa(crew.Size())}
	}
	words = append(words, "--seed", strconv.FormatUint(seed, 10))
	if f.onSockets {
		words = append(words, "--live")
	}
	words.flag("server", f.server, "")
	words.flag("credentials", f.credentials, "")
	words.flag("server-command", f.command, "")
	words.flag("dialect", f.dialect, "")
	words.flag("folder", f.folder, "")
	words.flag("duration", f.load.Duration.String(), "0s")
	words.flag("rate", strconv.FormatFloat(f.load.Rate, 'f', -1, 64), "0")
	return commandLine(words, f.sets, file)
}

// repeat returns the shell command that repeats one rule of a submission.
func (j *judgeCommand) repeat(folder string, number int) string {
	words := shellWords{j.name, "judge"}
	words.flag("server-command", j.Server, "")
	words.flag("client-command", j.Client, "")
	if j.server == "" {
		if own, err := os.Getwd(); err == nil { // a path for other machines, too
			if relative, err := filepath.Rel(own, folder); err == nil && filepath.IsLocal(relative) {
				folder = relative
			}
		}
		words.flag("folder", folder, "")
	}
	words.flag("server", j.server, "")
	words.flag("credentials", j.credentials, "")
	words.flag("build", j.Build, "")
	words.flag("dialect", j.dialect, "")
	words.flag("rules", j.rules, "course")
	words.flag("block", j.Block.String(), "4s")
	words.flag("hasten", strconv.Itoa(j.Hasten), "20")
	words.flag("retention", j.Retention.String(), "3m0s")
	words.flag("lifetime", j.Lifetime.String(), "15m0s")
	words.flag("seed", strconv.FormatUint(j.Seed, 10), "")
	words.flag("only", strconv.Itoa(number), "")
	return strings.Join(words, " ")
}

// shellWords are the words of a shell command, each quoted.
type shellWords []string

// flag adds a flag with its value, unless the value is the usual one.
func (w *shellWords) flag(name, value, usual string) {
	if value != usual {
		*w = append(*w, "--"+name, shellQuoted(value))
	}
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
