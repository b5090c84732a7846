// The application of `tests/benchmarks/throughput.py` in Express: bare, or with express-session.

'use strict'

process.env.NO_DEPRECATION = 'express-session' // its MemoryStore is what is measured

const express = require('express')
const session = require('express-session')

const [, , kind, secret, data] = process.argv
const DATA = JSON.parse(data)
const plain = { ...DATA }
let number = 100000

const app = express()
if (kind === 'bare') app.use((req, res, next) => { req.session = plain; next() })
else app.use(session({ secret, resave: false, saveUninitialized: false }))
app.get('/read', (req, res) => res.send(String(req.session.name)))
app.get('/write', (req, res) => {
  req.session.views = ++number
  res.send(String(number))
})
app.get('/untouched', (req, res) => res.send('Hello'))
app.get('/fill', (req, res) => {
  Object.assign(req.session, DATA)
  res.send('filled')
})
app.get('/look', (req, res) => {
  const { cookie, ...rest } = req.session
  res.send(JSON.stringify(rest))
})
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
