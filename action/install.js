// Installs envctl in its own virtual environment in the runner's tool cache, where the next job on this machine finds it.
'use strict'
const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { run } = require('./program')
const { addPath, input } = require('./runner')

const PACKAGE = 'envctl-testing'
const ROOT = path.dirname(__dirname)

// The parts of the package in this Action's own checkout, which is the version that the user pinned with `uses: ...@REF`.
const PARTS = ['pyproject.toml', 'README.md', 'LICENSE', 'envctl', 'templates', 'environments']

// Only a hash of the content shows whether the installed version is current, because a branch or a tag may move.
function digest(paths) {
  const hash = crypto.createHash('sha256')
  const add = (file) => {
    const found = fs.statSync(file, { throwIfNoEntry: false })
    if (!found) return
    if (!found.isDirectory()) return hash.update(`${path.relative(ROOT, file)}\0${found.size}\0`).update(fs.readFileSync(file))
    fs.readdirSync(file).filter((name) => name !== '__pycache__').sort().forEach((name) => add(path.join(file, name)))
  }
  paths.forEach(add)
  return hash.digest('hex').slice(0, 16)
}

function requirement(version, from, extras) {
  if (version && !/^[0-9][0-9A-Za-z.+!-]*$/.test(version)) {
    throw new Error(`version: ${version}: this is not a version; write it like 0.1.0, or "installed"; for anything else that pip can install, use \`from:\``)
  }
  if (extras && !/^[a-z][a-z0-9-]*(,[a-z][a-z0-9-]*)*$/.test(extras)) {
    throw new Error(`extras: ${extras}: these are not extras; write them like "local,seeds"`)
  }
  const some = extras ? `[${extras}]` : ''
  // The result never starts with a dash, so pip cannot read it as an option: it is a path or a requirement.
  if (version && !from) return `${PACKAGE}${some}==${version}`
  if (!from) return `${ROOT}${some}`
  if (from.startsWith('-')) throw new Error(`from: ${from}: this is an option; a folder, a wheel or a URL is expected`)
  return /^[a-z+]+:\/\//.test(from) ? `${PACKAGE}${some} @ ${from}` : `${path.resolve(from)}${some}`
}

async function checked(program, args) {
  const { status, out, err } = await run(program, args, { quiet: true })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}\n${(err || out).trim()}`)
  return out.trim()
}

/** Puts `envctl` on PATH for this step and later ones, and resolves to its version. */
async function install() {
  if (input('version') === 'installed') {
    return checked('envctl', ['--version'])
  }
  const from = input('from')
  const version = input('version')
  const wanted = requirement(version, from, input('extras'))
  const python = input('python') || 'python3'
  const kind = await checked(python, ['-c', 'import platform, sys; print("%d.%d-%s" % (*sys.version_info[:2], platform.machine()))'])
  const [major, minor] = kind.split(/[.-]/).map(Number)
  if (major < 3 || (major === 3 && minor < 11)) {
    throw new Error(`python: ${python} is Python ${major}.${minor}, but envctl needs 3.11 or later; actions/setup-python installs one`)
  }
  const cache = process.env.RUNNER_TOOL_CACHE || path.join(process.env.RUNNER_TEMP || '/tmp', 'tools')
  const label = [from ? 'from' : version || digest(PARTS.map((name) => path.join(ROOT, name))), kind, input('extras').replace(/,/g, '-')].filter(Boolean).join('-')
  const folder = path.join(cache, 'envctl', label)
  const program = path.join(folder, 'path', 'envctl')
  // An incomplete or foreign installation is replaced. An installation with `from:` always is, because its source may have changed.
  if (from || !fs.existsSync(`${folder}.complete`) || (await run(program, ['--version'], { quiet: true }).catch(() => ({}))).status !== 0) {
    fs.rmSync(`${folder}.complete`, { force: true })
    fs.rmSync(folder, { recursive: true, force: true })
    console.log(`installing envctl into ${folder}`)
    await checked(python, ['-m', 'venv', folder])
    await checked(path.join(folder, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', wanted])
    // Only envctl goes on PATH: with the whole `bin` folder, `python` and `pip` of later steps would be those of this environment.
    fs.mkdirSync(path.dirname(program))
    fs.symlinkSync(path.join(folder, 'bin', 'envctl'), program)
    fs.writeFileSync(`${folder}.complete`, '')
  }
  addPath(path.dirname(program))
  return checked(program, ['--version'])
}

module.exports = { install }
