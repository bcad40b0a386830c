'use strict'
const fs = require('node:fs')
const path = require('node:path')
const start = process.env.INPUT_PATTERN.replace('*', '')
for (const name of fs.readdirSync(process.env.KEPT_HERE).filter((each) => each.startsWith(start))) {
  fs.cpSync(path.join(process.env.KEPT_HERE, name), path.resolve(process.env.INPUT_PATH), { recursive: true })
}
