"""The current process: its signals, threads, streams and limits, and the programs that it starts."""
