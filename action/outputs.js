// Passes the instance's outputs to later steps.
'use strict'
const { setOutput, setVariable, words } = require('./runner')
const { run } = require('./program')

// Parses lines for $GITHUB_ENV: `KEY=VALUE`, or `KEY<<MARK`, the lines of the value, and the mark.
function parse(text) {
  const values = {}
  const lines = text.split('\n')
  for (let at = 0; at < lines.length; at++) {
    const [, name, sign, rest] = /^([^=<]+)(=|<<)(.*)$/s.exec(lines[at]) || []
    if (!name) continue
    if (sign === '=') {
      values[name] = rest
      continue
    }
    const end = lines.indexOf(rest, at + 1)
    values[name] = lines.slice(at + 1, end).join('\n')
    at = end
  }
  return values
}

/** Masks every credential, then sets all outputs as outputs of the step, and those in `export:` as variables. Resolves to their names. */
async function handOn(name, cwd) {
  const { status, out, err } = await run('envctl', ['env', name, '--format', 'github'], { cwd, quiet: true })
  // The masks come first: the runner must know what to hide before this step or a later one prints anything.
  process.stdout.write(err)
  if (status !== 0) throw new Error(`envctl env ${name} ended with ${status}`)
  const values = parse(out)
  const asked = words('export')
  const unknown = asked.filter((each) => each !== '*' && !(each in values))
  if (unknown.length) {
    throw new Error(`export: ${unknown.join(', ')}: there is no such output; known: ${Object.keys(values).join(', ')}`)
  }
  for (const [key, value] of Object.entries(values)) {
    if (!['name', 'id', 'json'].includes(key)) setOutput(key, value)
    if (asked.includes('*') || asked.includes(key)) setVariable(key, value)
  }
  setOutput('json', JSON.stringify(values))
  return Object.keys(values)
}

module.exports = { handOn, parse }
