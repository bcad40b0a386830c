'use strict'
const { execFileSync } = require('node:child_process')
const git = (...words) => execFileSync('git', words, { stdio: 'inherit' })
git('clone', '-q', '--no-checkout', process.env.PROJECT, process.env.INPUT_PATH)
git('-C', process.env.INPUT_PATH, 'checkout', '-q', process.env.INPUT_REF)
