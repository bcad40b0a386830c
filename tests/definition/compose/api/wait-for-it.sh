#!/bin/sh
# wait-for-it: host:port -- command
exec "$@"
