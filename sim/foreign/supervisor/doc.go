// Package supervisor prepares and watches the process of one program of another implementation, from inside. It imports
// little and its path sorts early: Go initializes it before most packages of the executable, so that a supervisor starts
// fast.
package supervisor

// TokenName is a variable in the environment of all processes of a program.
const TokenName = "BLUETRACE_ID"
