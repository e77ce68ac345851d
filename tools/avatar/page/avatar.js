// A VRM avatar, moved by the rules of VMC's receivers: each bone's own node gets the local position and rotation that
// were sent, in Unity's axes; bones that were not sent stay as they are.
import * as THREE from 'three'
import { GLTFLoader } from 'three/addons/loaders/GLTFLoader.js'
import { VRMLoaderPlugin } from '@pixiv/three-vrm'

// From Unity's axes (left-handed) to glTF's, as UniVRM imports: VRM 0.x mirrors z, VRM 1.0 mirrors x.
const MIRRORS = { 0: [1, 1, -1], 1: [-1, 1, 1] }

export class Avatar {
  async load(url) {
    const loader = new GLTFLoader()
    loader.register((parser) => new VRMLoaderPlugin(parser))
    const vrm = (await loader.loadAsync(url)).userData.vrm
    if (!vrm) throw new Error('the file is no VRM')
    this.vrm = vrm
    vrm.humanoid.autoUpdateHumanBones = false // the nodes themselves are moved, as VMC's receivers do
    const isVrm0 = vrm.meta.metaVersion === '0'
    this.mirror = MIRRORS[isVrm0 ? 0 : 1]
    vrm.scene.traverse((node) => { node.frustumCulled = false; node.castShadow = node.isMesh === true })
    this.turned = new THREE.Group() // VRM 0.x looks along -z, VRM 1.0 along z: on the stage all look along z
    if (isVrm0) this.turned.rotation.y = Math.PI
    this.turned.add(vrm.scene)
    this.unknown = new Set()
    this.isCalibrated = true
    return this.turned
  }

  node(bone) {
    return this.vrm.humanoid.getRawBoneNode(bone[0].toLowerCase() + bone.slice(1))
  }

  take({ root, bones, is_calibrated: isCalibrated }) {
    this.place(this.vrm.scene, root)
    for (const [bone, values] of Object.entries(bones)) {
      const node = this.node(bone)
      if (node) this.place(node, values)
      else this.unknown.add(bone)
    }
    this.isCalibrated = isCalibrated
  }

  place(node, [px, py, pz, qx, qy, qz, qw]) {
    const [x, y, z] = this.mirror
    const turn = x * y * z // a mirrored rotation turns the other way
    node.position.set(px * x, py * y, pz * z)
    node.quaternion.set(qx * x * turn, qy * y * turn, qz * z * turn, qw).normalize()
  }

  update(seconds) {
    this.vrm.update(seconds)
    this.turned.updateMatrixWorld(true)
  }

  hips() {
    return this.node('Hips').getWorldPosition(new THREE.Vector3())
  }

  words() {
    return this.isCalibrated ? '' : 'The sender is not calibrated yet.'
  }

  // World rotations [x, y, z, w] and places [x, y, z] of the bones on the stage.
  bones() {
    const found = {}
    for (const name of Object.keys(this.vrm.humanoid.humanBones)) {
      const node = this.vrm.humanoid.getRawBoneNode(name)
      if (!node) continue
      found[name] = {
        turn: node.getWorldQuaternion(new THREE.Quaternion()).toArray(),
        place: node.getWorldPosition(new THREE.Vector3()).toArray(),
      }
    }
    return found
  }
}
