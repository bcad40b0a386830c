"""Environment -> Environment: what is changed before a plan is made, one module a change."""
