// A real Express with connect-redis, whose routes do to a session what the tests ask for.
// The first line of the standard input says with which options; the port is answered.
'use strict'

const express = require('express')
const session = require('express-session')
const { RedisStore } = require('connect-redis')
const { createClient } = require('redis')
const readline = require('node:readline')

const deeds = {
  read: () => {},
  set: (session, { key, value }) => { session[key] = value },
  delete: (session, { key }) => { delete session[key] },
  push: (session, { key, value }) => { session[key].items.push(value) },
  age: (session, { key, value }) => {
    session.cookie.maxAge = value
    session[key] = value // to Express, a changed age alone is no change
  },
  login: (session, { value }) => done((end) => session.regenerate(end)).then(() => {
    session.req.session.user = value // on the new one
  }),
  // Another request, that begins and ends during this one.
  meanwhile: async (session, { key, value, url, body }) => {
    session[key] = value
    const headers = { 'content-type': 'application/json', cookie: session.req.headers.cookie }
    await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  },
  save: (session) => done((end) => session.save(end)),
  logout: (session) => done((end) => session.destroy(end))
}

function done (begin) {
  return new Promise((resolve, reject) => begin((error) => error ? reject(error) : resolve()))
}

async function main ({ redisUrl, ...options }) {
  const client = createClient({ url: redisUrl, socket: { reconnectStrategy: false } })
  await client.connect()
  const app = express()
  app.use(express.json())
  app.use(session({
    store: new RedisStore({ client }),
    resave: false,
    saveUninitialized: false,
    ...options
  }))

  app.post('/', async (req, res) => {
    const { does, ...what } = req.body
    await deeds[does](req.session, what)
    const { cookie, ...data } = req.session ?? {}
    res.json({ id: req.session?.id ?? null, data, maxAge: cookie?.maxAge ?? null })
  })

  app.use((error, req, res, next) => {
    res.status(500).json({ error: error.message })
  })

  const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
}

readline.createInterface({ input: process.stdin }).once('line', (line) => main(JSON.parse(line)))
