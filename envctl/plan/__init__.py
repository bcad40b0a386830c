"""Definition + Kinds -> Plan. `make_plan` is the way in; `model` says what a plan is."""
