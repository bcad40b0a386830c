"""Loading of a definition file into a `Definition`: source lines, includes, variables, expressions, models. Start with `load`."""
