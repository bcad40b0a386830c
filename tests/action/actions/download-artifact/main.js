'use strict'
const fs = require('node:fs')
const path = require('node:path')
const { INPUT_NAME: whole, INPUT_PATTERN: pattern, INPUT_PATH: to, KEPT_HERE: kept } = process.env
const wanted = (name) => (whole ? name === whole : name.startsWith(pattern.replace('*', '')))
for (const name of fs.readdirSync(kept).filter(wanted)) {
  fs.cpSync(path.join(kept, name), path.resolve(to), { recursive: true })
}
