// What the real express-session decides in each of its 64 cases, asked over HTTP.
// A line is a list of cases, [new, modified, saveUninitialized, resave, rolling, has expiry] each.
'use strict'

const cookie = require('cookie')
const express = require('express')
const http = require('node:http')
const readline = require('node:readline')
const session = require('express-session')
const signature = require('cookie-signature')

const SECRET = 'known to this program alone'
const HOUR = 3600 * 1000

class CountingStore extends session.MemoryStore {
  digit = 0

  set (...all) {
    this.digit |= 4
    super.set(...all)
  }

  touch (...all) {
    this.digit |= 2
    super.touch(...all)
  }
}

async function decide ([isNew, isModified, saveUninitialized, resave, rolling, hasExpiry]) {
  const store = new CountingStore()
  const app = express()
  const options = { maxAge: hasExpiry ? HOUR : null }
  app.use(session({
    secret: SECRET, store, saveUninitialized, resave, rolling, cookie: options
  }))
  app.get('/', (req, res) => {
    if (isModified) req.session.changed = true
    res.send('done')
  })
  const headers = {}
  if (!isNew) {
    const stored = JSON.parse(JSON.stringify({ cookie: new session.Cookie(options), user: 'Ada' }))
    await new Promise((resolve) => store.set('known', stored, resolve))
    headers.cookie = cookie.serialize('connect.sid', 's:' + signature.sign('known', SECRET))
    store.digit = 0
  }
  const response = await get(app, headers)
  return store.digit | (response.headers['set-cookie'] ? 1 : 0)
}

function get (app, headers) {
  return new Promise((resolve, reject) => {
    const server = app.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      http.get({ host: '127.0.0.1', port, headers, agent: false }, (response) => {
        response.resume().on('end', () => server.close(() => resolve(response)))
      }).on('error', reject)
    })
  })
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const digits = []
  for (const each of JSON.parse(line)) digits.push(await decide(each))
  console.log(JSON.stringify(digits.join('')))
})
