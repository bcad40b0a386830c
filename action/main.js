// The Action's main step: installs envctl, brings the environment up, and passes its outputs to later steps.
'use strict'
const fs = require('node:fs')
const path = require('node:path')
const { install } = require('./install')
const { handOn } = require('./outputs')
const { run } = require('./program')
const { input, lines, saveState, say, setOutput, setVariable, words } = require('./runner')

const SINGLE = ['name', 'engine', 'lanes', 'registry', 'ttl', 'timeout']
const LISTS = { set: lines, image: lines, only: words, stub: words, local: words }

// Option and value are one word, so that a value may begin with a dash.
function options() {
  const single = SINGLE.filter((name) => input(name)).map((name) => `--${name}=${input(name)}`)
  const lists = Object.entries(LISTS).flatMap(([name, read]) => read(name).map((value) => `--${name}=${value}`))
  return [...single, ...lists]
}

function reportFolder(cwd) {
  return path.resolve(cwd, input('report') || 'envctl-report')
}

async function up(environment, cwd) {
  // The end of the job removes the instance even if this step fails or is killed, so the state that this needs is saved first.
  const before = await run('envctl', ['list', '--json'], { cwd, quiet: true })
  const ids = before.status === 0 ? JSON.parse(before.out).map((each) => each.id) : []
  const kept = { folder: cwd, report: reportFolder(cwd), before: JSON.stringify(ids), name: input('name') }
  Object.entries(kept).forEach(([key, value]) => saveState(key, value))
  const { status, out } = await run('envctl', ['up', '--json', ...options(), '--', environment], { cwd })
  const told = JSON.parse(out || '{}')
  if (told.id) saveState('name', told.id)
  if (status !== 0) throw new Error(`envctl up ${environment} ended with ${status}`)
  setOutput('name', told.name)
  setOutput('id', told.id)
  const names = await handOn(told.id, cwd)
  console.log(`${told.name} (${told.id}) is up on ${told.engine}; outputs: ${names.join(', ') || 'none'}`)
}

async function main() {
  const cwd = path.resolve(process.env.GITHUB_WORKSPACE || '.', input('working-directory') || '.')
  if (!fs.existsSync(cwd)) throw new Error(`working-directory: there is no folder ${cwd}; is there an earlier step with actions/checkout?`)
  const matrix = words('matrix').join(' ')
  if (matrix && !['null', '{}'].includes(matrix)) setVariable('ENVCTL_MATRIX', matrix)
  console.log(await install())
  if (input('environment')) await up(input('environment'), cwd)
}

main().catch((error) => {
  say('error title=envctl', error.message)
  process.exitCode = 1
})
