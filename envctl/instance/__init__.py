"""The state of instances on disk: identity, record and lock of each, in one folder per instance below the state folder."""
