package main

import "fmt"

// printSchema prints the JSON Schema of a scenario.
func (p *program) printSchema(arguments []string) status {
	set := newFlagSet("schema")
	help := helpOf(set, "sim schema", "Prints the JSON Schema of a scenario, for editors.")
	if err := set.Parse(arguments); err != nil {
		return p.refuseFlags("schema", help, err)
	}
	if set.NArg() > 0 {
		p.complain(fmt.Errorf("schema: %q is one argument too many", set.Arg(0)), "sim schema prints the schema to standard output")
		return invalid
	}
	return p.print(string(p.schema()))
}
