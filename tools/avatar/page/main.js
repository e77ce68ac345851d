// An avatar that VMC moves, and the camera's picture beside it. The address may say how it is looked at:
// ?view=front|side|back|left|free&distance=METRES&size=PIXELS (of a square canvas)
import { Avatar } from './avatar.js'
import { Stage } from './stage.js'

const note = document.querySelector('.note')
const say = (text) => { note.textContent = text }
const asked = new URLSearchParams(location.search)
if (asked.get('size')) {
  Object.assign(document.querySelector('.stage').style, { flex: 'none', width: `${asked.get('size')}px`, height: `${asked.get('size')}px` })
}
const stage = new Stage(document.querySelector('.stage'), asked.get('view') ?? 'free', Number(asked.get('distance')) || 3.4)
const avatar = new Avatar()
let have = 0
let drawn = performance.now()

try {
  stage.add(await avatar.load('avatar.vrm'))
  say('waiting for VMC')
  connect()
} catch (error) {
  say(`The avatar cannot be shown: ${error.message}`)
  throw error
}

function connect() {
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/socket`)
  socket.binaryType = 'arraybuffer'
  const ask = (want, number) => socket.send(JSON.stringify({ want, have: number }))
  socket.onopen = () => { ask('bones', have); ask('picture', 0) }
  socket.onmessage = ({ data }) => {
    if (typeof data !== 'string') return showPicture(data, ask)
    const message = JSON.parse(data)
    if ('shoot' in message) return shoot(socket, message.shoot)
    avatar.take(message)
    have = message.count
    requestAnimationFrame(() => { draw(); ask('bones', have) })
  }
  socket.onclose = () => { say('The tool has ended.'); setTimeout(connect, 1000) }
}

function draw() {
  const now = performance.now()
  avatar.update(Math.min((now - drawn) / 1000, 0.1))
  drawn = now
  say(avatar.words())
  stage.follow(avatar.hips())
  stage.draw()
}

function showPicture(data, ask) {
  const number = Number(new DataView(data).getBigUint64(0))
  const image = document.querySelector('.picture')
  const url = URL.createObjectURL(new Blob([new Uint8Array(data, 8)]))
  image.onload = image.onerror = () => {
    URL.revokeObjectURL(url)
    if (image.parentElement.hidden) { image.parentElement.hidden = false; stage.resize() }
    ask('picture', number)
  }
  image.src = url
}

// Draws once everything up to a datagram was taken, and sends what the canvas shows.
function shoot(socket, count) {
  if (have < count) return setTimeout(() => shoot(socket, count), 5)
  draw()
  stage.canvas.toBlob((blob) => socket.send(blob), 'image/png')
}

// For programs that look at the page: how the bones lie, as three.js has them.
globalThis.egostream = { avatar, stage, count: () => have }
