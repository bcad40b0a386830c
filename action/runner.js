// The interface to GitHub's runner: inputs, files of values, and commands on stdout.
'use strict'
const crypto = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')

const input = (name) => (process.env[`INPUT_${name.replace(/ /g, '_').toUpperCase()}`] || '').trim()
const lines = (name) => input(name).split(/\r?\n/).map((line) => line.trim()).filter(Boolean)
const words = (name) => input(name).split(/\s+/).filter(Boolean)

// The delimiter is random, so that a value cannot contain it, end itself and set another variable.
function append(file, name, value) {
  const path = process.env[file]
  if (!path) throw new Error(`${file} is not set: this is not a step of GitHub Actions`)
  const mark = `envctl_${crypto.randomBytes(16).toString('hex')}`
  fs.appendFileSync(path, `${name}<<${mark}${os.EOL}${value}${os.EOL}${mark}${os.EOL}`)
}

const setVariable = (name, value) => {
  process.env[name] = value
  append('GITHUB_ENV', name, value)
}
const setOutput = (name, value) => append('GITHUB_OUTPUT', name, value)
const saveState = (name, value) => append('GITHUB_STATE', name, value)
const state = (name) => process.env[`STATE_${name}`] || ''

const escaped = (text) => String(text).replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A')
const say = (command, text) => process.stdout.write(`::${command}::${escaped(text)}\n`)

function addPath(folder) {
  process.env.PATH = `${folder}:${process.env.PATH || ''}`
  if (process.env.GITHUB_PATH) fs.appendFileSync(process.env.GITHUB_PATH, `${folder}\n`)
}

function summarise(text) {
  if (process.env.GITHUB_STEP_SUMMARY) fs.appendFileSync(process.env.GITHUB_STEP_SUMMARY, `${text}\n`)
}

module.exports = { addPath, input, lines, saveState, say, setOutput, setVariable, state, summarise, words }
