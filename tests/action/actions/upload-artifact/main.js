'use strict'
const fs = require('node:fs')
const path = require('node:path')
const from = path.resolve(process.env.INPUT_PATH)
const to = path.join(process.env.KEPT_HERE, process.env.INPUT_NAME)
fs.cpSync(from, fs.statSync(from).isDirectory() ? to : path.join(to, path.basename(from)), { recursive: true })
