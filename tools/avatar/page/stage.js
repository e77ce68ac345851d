// A floor, lights, and an eye that goes along with the avatar.
import * as THREE from 'three'
import { OrbitControls } from 'three/addons/controls/OrbitControls.js'

const TARGET_M = 0.85 // height that the eye looks at
// Where the eye stands, radians from ahead of the avatar towards its left, and up.
const VIEWS = { free: [-0.6, 0.16], front: [0, 0.1], side: [-Math.PI / 2, 0.1], left: [Math.PI / 2, 0.1], back: [Math.PI, 0.1] }

export class Stage {
  constructor(canvas, view, distance) {
    this.canvas = canvas
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true, preserveDrawingBuffer: true })
    this.renderer.shadowMap.enabled = true
    this.scene = new THREE.Scene()
    this.scene.background = new THREE.Color(0x222224)
    const sun = new THREE.DirectionalLight(0xffffff, 2.6)
    sun.position.set(-1.5, 4, 2.5)
    sun.castShadow = true
    sun.shadow.mapSize.set(1024, 1024)
    Object.assign(sun.shadow.camera, { left: -1.6, right: 1.6, top: 1.6, bottom: -1.6 })
    this.lights = new THREE.Group()
    this.lights.add(sun, sun.target, new THREE.HemisphereLight(0xffffff, 0x55565c, 1.6))
    const floor = new THREE.Mesh(new THREE.PlaneGeometry(60, 60), new THREE.MeshStandardMaterial({ color: 0x3a3c40, roughness: 1 }))
    floor.rotation.x = -Math.PI / 2
    floor.receiveShadow = true
    const grid = new THREE.GridHelper(20, 40, 0x8a8d93, 0x5d6066)
    grid.position.y = 0.004
    this.scene.add(this.lights, floor, grid)
    this.eye = new THREE.PerspectiveCamera(32, 1, 0.05, 60)
    const [around, up] = VIEWS[view] ?? VIEWS.free
    this.eye.position.setFromSphericalCoords(distance, Math.PI / 2 - up, around).y += TARGET_M
    this.controls = new OrbitControls(this.eye, canvas)
    this.controls.target.set(0, TARGET_M, 0)
    this.controls.addEventListener('change', () => this.draw())
    addEventListener('resize', () => this.resize())
    this.resize()
    this.controls.update()
  }

  add(object) {
    this.scene.add(object)
    this.draw()
  }

  follow(hips) {
    const { target } = this.controls
    const way = new THREE.Vector3(hips.x - target.x, 0, hips.z - target.z)
    target.add(way)
    this.eye.position.add(way)
    this.lights.position.set(target.x, 0, target.z)
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2))
    this.renderer.setSize(clientWidth, clientHeight, false)
    this.eye.aspect = clientWidth / Math.max(clientHeight, 1)
    this.eye.updateProjectionMatrix()
    this.draw()
  }

  draw() {
    this.renderer.render(this.scene, this.eye)
  }
}
