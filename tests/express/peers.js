// The application of `tests/benchmarks/peers.py`, behind the real express-session: what is there
// `Peer.do_...` is here an action. It pauses where Python is to act meanwhile, until Python says go.

'use strict'

process.env.NO_DEPRECATION = 'express-session'

const express = require('express')
const readline = require('node:readline')
const session = require('express-session')

// As late as any store is that has to be asked over a wire; its MemoryStore stores at once.
const [isDelayed, resave] = process.argv.slice(2).map((word) => word === 'yes')
const SECRET = 'a secret of forty bytes, for this alone.'
const WHEN = new Date(Date.UTC(2026, 0, 2))

let isDown = false
let isHeld = false
const waiting = [] // what goes on when Python says so, the newest last
let response // of the request whose save is held

const say = (value) => console.log(JSON.stringify(value))

class Store extends session.MemoryStore {
  get (id, done) {
    this._attempt(done, () => super.get(id, done))
  }

  set (id, value, done) {
    if (!isHeld) return this._attempt(done, () => super.set(id, value, done))
    isHeld = false
    if (isDelayed) waiting.push(() => super.set(id, value, done))
    else super.set(id, value, () => waiting.push(done))
    setImmediate(() => say({ saving: response.headersSent ? 'head sent' : 'nothing sent' }))
  }

  touch (id, value, done) {
    this._attempt(done, () => super.touch(id, value, done))
  }

  destroy (id, done) {
    this._attempt(done, () => super.destroy(id, done))
  }

  _attempt (done, work) {
    if (isDown) setImmediate(done, new Error('the store is down'))
    else work()
  }
}

function pause () {
  return new Promise((resolve) => {
    waiting.push(resolve)
    say({ paused: true })
  })
}

function wait (start) {
  return new Promise((resolve, reject) => start((error) => error ? reject(error) : resolve()))
}

const actions = {
  fill: ({ session }) => { Object.assign(session, { name: 'Ada', cart: { tea: 1 } }) },
  fast: ({ session }) => { session.fast = 1 },
  slow: async ({ session }) => { await pause(); session.slow = 1 },
  linger: async () => { await pause() },
  count: async (request) => {
    await wait((done) => request.session.reload(done))
    const count = request.session.count || 0
    await pause()
    request.session.count = count + 1
  },
  nest: ({ session }) => { session.cart.tea = 2 },
  date: ({ session }) => { session.when = WHEN },
  naive_date: ({ session }) => { session.when = WHEN }, // JavaScript has one kind
  logout: ({ session }) => wait((done) => session.destroy(done)),
  login: async (request) => {
    await wait((done) => request.session.regenerate(done))
    request.session.name = 'Ada'
  },
  read: ({ session: { name, cart, slow, fast, count, when } }) => {
    return { name, cart, slow, fast, count, is_date: when instanceof Date }
  }
}

const app = express()
app.disable('etag')
app.use((request, reply, next) => { response = reply; next() })
app.use(session({ secret: SECRET, store: new Store(), resave, saveUninitialized: false, proxy: true }))
app.get('/:action', async (request, reply) => {
  reply.send(await actions[request.params.action](request) || {})
})
app.use((error, request, reply, next) => {
  if (!reply.headersSent) reply.status(500).send(String(error))
})

const commands = {
  down: () => { isDown = true },
  up: () => { isDown = false },
  hold: () => { isHeld = true },
  go: () => { waiting.pop()() }
}

const server = app.listen(0, '127.0.0.1', () => {
  say({ port: server.address().port })
  readline.createInterface({ input: process.stdin }).on('line', (line) => {
    commands[JSON.parse(line)]()
    say({})
  })
})
