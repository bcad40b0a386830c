'use strict'
const fs = require('node:fs')
const path = require('node:path')
const name = (file) => path.basename(file.trim())
for (const file of process.env.INPUT_PATH.trim().split('\n')) {
  const from = path.join(process.env.KEPT_HERE, 'cache', name(file))
  if (fs.existsSync(from)) fs.cpSync(from, path.resolve(file.trim().replace(/^~/, process.env.HOME)), { recursive: true, verbatimSymlinks: true })
}
