// Signs, verifies and encodes many values at once: {"does": "sign", "values": [...]} a line.
'use strict'

const { createRequire } = require('node:module')
const readline = require('node:readline')

// What express-session itself uses, be it another version than Express's own.
const inside = createRequire(require.resolve('express-session'))
const signature = inside('cookie-signature')
const newest = require('cookie-signature')
const cookie = inside('cookie')

const deeds = {
  sign: ([value, secret]) => signature.sign(value, secret),
  unsign: ([signed, secret]) => {
    const value = signature.unsign(signed, secret)
    if (value !== newest.unsign(signed, secret)) throw new Error(`two minds about ${signed}`)
    return value
  },
  format: ([name, value]) => cookie.serialize(name, value),
  parse: ([header, name]) => cookie.parse(header)[name] ?? null
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { does, values } = JSON.parse(line)
  console.log(JSON.stringify(values.map(deeds[does])))
})
