"""Text -> Definition: source lines, includes, variables, expressions, models; `load` is the way in."""
