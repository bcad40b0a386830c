// Runs at the end of the job, also after failure or cancellation: collects logs and states, summarises the tests, removes the instance.
'use strict'
const path = require('node:path')
const { run } = require('./program')
const { input, lines, say, state, summarise } = require('./runner')

/** Resolves to the id or name that the main step saved; if it was killed before that, to the ids of all instances that came up since. */
async function mine(cwd) {
  if (state('name')) return [state('name')]
  const { status, out } = await run('envctl', ['list', '--json'], { cwd })
  if (status !== 0) throw new Error('envctl list failed, so it is unknown which instances are up')
  const before = JSON.parse(state('before') || '[]')
  return JSON.parse(out).map((each) => each.id).filter((id) => !before.includes(id))
}

async function report(cwd, folder) {
  const results = lines('results').map((each) => path.resolve(cwd, each))
  if (!results.length) return
  const history = input('history') ? ['--history', path.resolve(cwd, input('history'))] : []
  const { status, out } = await run('envctl', ['report', ...history, '--', folder, ...results], { cwd })
  if (out) summarise(out)
  if (status !== 0) say('warning title=envctl', `envctl report ended with ${status}`)
}

async function post() {
  const cwd = state('folder')
  if (!cwd) return // no environment was given, or envctl could not be installed
  const names = await mine(cwd)
  for (const name of names) {
    const { status } = await run('envctl', ['logs', name, '-o', state('report')], { cwd })
    if (status !== 0) say('warning title=envctl', `the logs of ${name} could not be collected`)
  }
  await report(cwd, state('report'))
  for (const name of names) {
    const { status } = await run('envctl', ['down', name], { cwd })
    if (status !== 0) throw new Error(`envctl down ${name} ended with ${status}: something is left behind`)
  }
}

post().catch((error) => {
  say('error title=envctl', error.message)
  process.exitCode = 1
})
