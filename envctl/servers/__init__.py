"""Small servers that replace real ones. Each is a separate program, which needs no other part of envctl."""
