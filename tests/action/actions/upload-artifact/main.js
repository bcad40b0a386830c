'use strict'
const fs = require('node:fs')
const path = require('node:path')
fs.cpSync(path.resolve(process.env.INPUT_PATH), path.join(process.env.KEPT_HERE, process.env.INPUT_NAME), { recursive: true })
