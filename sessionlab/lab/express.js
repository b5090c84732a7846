// The shop of notebook 09 in Express: express-session, its sessions in Redis by connect-redis.
'use strict'

const express = require('express')
const session = require('express-session')
const { RedisStore } = require('connect-redis')
const { createClient } = require('redis')
const { createHash } = require('node:crypto')

function shop (store, { secret, name, seed }) {
  const app = express()
  app.use(express.json(), express.urlencoded({ extended: false }))
  app.use(session({
    secret,
    name,
    store,
    genid: fixedIds(seed),
    resave: false,
    saveUninitialized: false,
    cookie: { secure: 'auto', sameSite: 'lax' },
  }))

  app.post('/login', (req, res, next) => {
    req.session.regenerate((error) => {
      if (error) return next(error)
      req.session.user = req.body.name
      res.json({ user: req.session.user })
    })
  })

  app.get('/whoami', (req, res) => {
    const { user = null, cart = [] } = req.session
    res.json({ user, cart })
  })

  app.get('/cart', (req, res) => {
    res.json({ cart: req.session.cart ?? [] })
  })

  app.post('/cart', (req, res) => {
    req.session.cart ??= []
    req.session.cart.push(req.body.item)
    res.json({ cart: req.session.cart })
  })

  app.post('/logout', (req, res, next) => {
    req.session.destroy((error) => {
      if (error) return next(error)
      res.json({ user: null })
    })
  })

  return app
}

// The same ids as sessionlab.lab.fixed_ids: for lessons only, since anybody can compute them.
function fixedIds (seed) {
  let number = 0
  return () => {
    const digest = createHash('sha256').update(`${seed} ${number++}`).digest()
    return digest.subarray(0, 24).toString('base64url')
  }
}

// The first line of the standard input says where and how; the port is answered. Where the input
// ends, so do we: no server outlives the notebook that started it.
async function main () {
  process.stdin.on('end', () => process.exit()).setEncoding('utf8')
  const line = await new Promise((resolve) => process.stdin.on('data', resolve))
  const { redisUrl, prefix, ...settings } = JSON.parse(line)
  const client = createClient({
    url: redisUrl,
    socket: { reconnectStrategy: false, connectTimeout: 2000 },
  })
  client.on('error', (error) => console.error(`Redis: ${error.message}`))
  await client.connect()
  const app = shop(new RedisStore({ client, prefix }), settings)
  app.disable('x-powered-by').disable('etag')
  const server = app.listen(0, '127.0.0.1', () => console.log(String(server.address().port)))
}

main().catch((error) => {
  console.error(error.message)
  process.exit(1)
})
