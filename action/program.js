// Runs programs with their arguments as a list, so that no shell ever interprets an input.
'use strict'
const { spawn } = require('node:child_process')

// Signals that a cancelled job sends are passed to the program, which then shuts down in order; the step ends with the program.
const SIGNALS = ['SIGINT', 'SIGTERM']

/**
 * Runs `program` and resolves to `{status, out, err}`. Its stderr is shown as it arrives.
 * @param quiet returns stderr in `err` instead of showing it
 */
function run(program, args, { cwd, quiet = false, env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, shell: false, stdio: ['ignore', 'pipe', quiet ? 'pipe' : 'inherit'] })
    const kept = { out: [], err: [] }
    child.stdout.on('data', (piece) => kept.out.push(piece))
    if (quiet) child.stderr.on('data', (piece) => kept.err.push(piece))
    const pass = (signal) => child.kill(signal)
    SIGNALS.forEach((signal) => process.on(signal, pass))
    const done = () => SIGNALS.forEach((signal) => process.off(signal, pass))
    child.on('error', (error) => {
      done()
      reject(new Error(`${program} cannot be started: ${error.message}`))
    })
    child.on('close', (code, signal) => {
      done()
      const text = (pieces) => Buffer.concat(pieces).toString('utf8')
      resolve({ status: code ?? `signal ${signal}`, out: text(kept.out), err: text(kept.err) })
    })
  })
}

module.exports = { run }
