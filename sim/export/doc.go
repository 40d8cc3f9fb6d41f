// Package export writes the events of a run in forms that other tools read. Each form is an observer of the stream of
// events, and knows nothing of the world.
package export
