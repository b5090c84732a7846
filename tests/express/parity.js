// The real express-session behind HTTP. `sides.py` says what each request's handler does, a JSON
// value a line, sends the request itself, and asks afterwards what was seen.

'use strict'

// The scenarios of the defaults leave options out on purpose.
process.env.NO_DEPRECATION = 'express-session'

// The clock stands still between the steps of a scenario. Node's own timers don't read `Date`.
let now = 0 // milliseconds
const RealDate = Date
globalThis.Date = class Date extends RealDate {
  constructor (...parts) {
    super(...(parts.length ? parts : [now]))
  }

  static now () {
    return now
  }
}

const express = require('express')
const readline = require('node:readline')
const session = require('express-session')
const signature = require('cookie-signature')

// The one that express-session itself uses.
const cookie = require(require.resolve('cookie', { paths: [require.resolve('express-session')] }))

const DAY = 86400 * 1000

// Keeps the text that Express stores, and, beside it, when the record ends. To Express it is its
// MemoryStore: a touch shows in the record's `cookie.expires`. The text stays as it was set.
class RecordingStore extends session.Store {
  constructor () {
    super()
    this.records = new Map()
    this.calls = []
    this.failing = []
  }

  get (id, callback) {
    this._answer('get', callback, () => {
      const record = this.alive(id)
      this.calls.push(`get ${id}${record ? '' : ': none'}`)
      if (!record) return undefined
      const found = JSON.parse(record.text)
      if (typeof found?.cookie?.expires === 'string') {
        found.cookie.expires = new Date(record.expires).toISOString()
      }
      return found
    })
  }

  set (id, value, callback) {
    this._answer('set', callback, () => {
      const record = { text: JSON.stringify(value), expires: expiry(value) }
      this.records.set(id, record)
      this.calls.push(`set ${id}, ${left(record)}: ${record.text}`)
    })
  }

  touch (id, value, callback) {
    this._answer('touch', callback, () => {
      const record = this.alive(id)
      if (record) record.expires = expiry(value)
      this.calls.push(`touch ${id}${record ? `, ${left(record)}` : ': none'}`)
    })
  }

  destroy (id, callback) {
    this._answer('destroy', callback, () => {
      this.records.delete(id)
      this.calls.push(`destroy ${id}`)
    })
  }

  alive (id) {
    const record = this.records.get(id)
    return record && record.expires > now ? record : undefined
  }

  _answer (operation, callback, work) {
    let result
    let error = null
    try {
      if (this.failing.includes(operation)) {
        this.calls.push(`${operation} fails`)
        throw new Error('the store is down')
      }
      result = work()
    } catch (caught) {
      error = caught
    }
    if (callback) setImmediate(callback, error, result)
  }
}

function expiry (value) {
  const expires = value.cookie.expires
  return expires ? new Date(expires).getTime() : now + DAY
}

function left (record) {
  return `${(record.expires - now) / 1000} s`
}

// One scenario: a middleware and a store of its own.

let scenario

function begin ({ options, records }) {
  const store = new RecordingStore()
  for (const [id, { text, seconds }] of Object.entries(records)) {
    store.records.set(id, { text, expires: now + seconds * 1000 })
  }
  scenario = { store, secret: [options.secret].flat()[0], name: options.name || 'connect.sid', proxy: options.proxy }
  const genid = () => scenario.ids.shift()
  scenario.middleware = session({ ...options, genid, store })
  return {}
}

// What the next request meets.
function expect ({ ids, actions, failing, rewritten }) {
  const { store } = scenario
  Object.assign(scenario, { ids, actions, rewritten, seen: [], request: undefined, ended: '' })
  store.calls = []
  store.failing = failing
  store.emit(failing.includes('connection') ? 'disconnect' : 'connect')
  return {}
}

function observe () {
  const { store, seen } = scenario
  const records = {}
  for (const [id, record] of store.records) {
    if (store.alive(id)) records[id] = { seconds: (record.expires - now) / 1000, text: record.text }
  }
  return { seen, calls: store.calls, records, facts: facts() }
}

// What a rewriting of the trace must know, and no trace shows.
function facts () {
  const { request, name, secret, store, initial, ended } = scenario
  const cameSigned = (cookie.parse(request?.headers.cookie || '')[name] || '').startsWith('s:')
  if (!request?.session) return { ended, cameSigned }
  const current = request.session
  const stored = store.alive(request.sessionID)
  const signed = 's:' + signature.sign(request.sessionID, secret)
  return {
    ended,
    cameSigned,
    id: request.sessionID,
    text: JSON.stringify(current),
    seconds: (expiry(current) - now) / 1000,
    setCookie: cookie.serialize(name, signed, current.cookie.data),
    isInsecure: Boolean(current.cookie.secure) && !(scenario.proxy && request.headers['x-forwarded-proto'] === 'https'),
    isLoaded: scenario.loaded === request.sessionID,
    isRetired: scenario.loaded === request.sessionID && scenario.isRetired,
    isCookieChanged: initial !== attributes(current.cookie),
    isCookieStored: stored ? attributes(current.cookie) === attributes(JSON.parse(stored.text).cookie) : null
  }
}

function attributes (values) {
  return JSON.stringify({ ...(values.data || values), expires: undefined })
}

// Another program writes to the store, as another request at the same time would.
function put ({ id, text, seconds }) {
  scenario.store.records.set(id, { text, expires: now + seconds * 1000 })
  return {}
}

function tick ({ time }) {
  now = time
  return {}
}

// The application.

const app = express()
app.disable('x-powered-by')
app.disable('etag')
app.use((request, response, next) => scenario.middleware(request, response, next))
app.use(async (request, response) => {
  const { seen, actions, store } = scenario
  scenario.request = request
  if (!request.session) seen.push('no session')
  if (request.session) {
    scenario.initial = attributes(request.session.cookie)
    scenario.loaded = store.alive(request.sessionID) && request.sessionID
  }
  const value = cookie.parse(request.headers.cookie || '')[scenario.name] || ''
  scenario.isRetired = value !== 's:' + signature.sign(request.sessionID || '', scenario.secret)
  const held = request.session
  for (const action of request.session ? actions : []) {
    if (action === 'raise') throw new Error('raised')
    try {
      const answer = await act(action, request, response, held)
      if (answer !== undefined) seen.push(`${action}: ${answer}`)
    } catch {
      seen.push(`${action}: error`)
    }
  }
  if (response.headersSent) response.end()
  else response.send('ok')
})
app.use((error, request, response, next) => {
  if (!response.headersSent) response.status(500).send('error')
})

async function act (action, request, response, held) {
  if (action.startsWith('held ')) return write(action.slice(5), held)
  const current = request.session
  const [verb, key, ...more] = action.split(' ')
  const rest = action.slice(verb.length + 1)
  switch (verb) {
    case 'read': return read(current, key)
    case 'id': return current.id
    case 'age': return milliseconds(current.cookie.maxAge)
    case 'original_age': return milliseconds(current.cookie.originalMaxAge)
    case 'save':
      if (scenario.rewritten) current.touch() // see differences.py
      return wait((done) => current.save(done))
    case 'reload': return wait((done) => current.reload(done))
    case 'regenerate': return wait((done) => current.regenerate(done))
    case 'destroy':
      scenario.ended = cookie.serialize(scenario.name, '', { ...current.cookie.data, expires: new Date(0) })
      return wait((done) => current.destroy(done))
    case 'touch':
      current.touch()
      // See differences.py.
      if (scenario.rewritten && scenario.store.alive(current.id)) scenario.store.touch(current.id, current)
      return undefined
    case 'max_age': current.cookie.maxAge = scaled(key); return undefined
    case 'expires': current.cookie.expires = key === 'null' ? null : new Date(now + scaled(key)); return undefined
    case 'attribute': current.cookie[camel(key)] = JSON.parse(more.join(' ')); return undefined
    case 'status': response.status(Number(key)); return undefined
    case 'header': response.append(key, more.join(' ')); return undefined
    case 'send': response.write(rest); return undefined
    case 'wait': now += scaled(key); return undefined
    case 'elsewhere': return elsewhere(rest, request.sessionID)
    default: return write(action, current)
  }
}

function read (current, key) {
  if (key) return JSON.stringify(current[key]) ?? 'missing'
  const { cookie, ...data } = current
  return JSON.stringify(data)
}

function write (action, target) {
  const [verb, key, ...more] = action.split(' ')
  if (verb === 'set') target[key] = JSON.parse(more.join(' '))
  else if (verb === 'append') (target[key] ??= []).push(JSON.parse(more.join(' ')))
  else if (verb === 'nest') (target[key] ??= {})[more[0]] = JSON.parse(more.slice(1).join(' '))
  else if (verb === 'delete') delete target[key]
  else if (verb === 'clear') Object.keys(target).forEach((name) => name !== 'cookie' && delete target[name])
  else throw new SyntaxError(`no such action: ${action}`)
}

function elsewhere (action, id) {
  const { records } = scenario.store
  if (action === 'destroy') return void records.delete(id)
  const record = records.get(id)
  const values = JSON.parse(record.text)
  write(action, values)
  record.text = JSON.stringify(values)
}

function milliseconds (age) {
  return age === null ? 'null' : `${age} ms`
}

function scaled (seconds) {
  return seconds === 'null' ? null : Number(seconds) * 1000
}

function camel (name) {
  return name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())
}

function wait (start) {
  return new Promise((resolve, reject) => start((error) => error ? reject(error) : resolve()))
}

// The conversation.

const commands = { begin, expect, observe, put, tick }

const server = app.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: server.address().port }))
  readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const { command, ...values } = JSON.parse(line)
    console.log(JSON.stringify(commands[command](values)))
  })
})
