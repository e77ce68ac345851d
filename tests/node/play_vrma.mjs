// Plays a VRMA on a VRM avatar with three.js, and prints where its bones lie at given times.
// node play_vrma.mjs AVATAR.vrm ANIMATION.vrma '[seconds, ...]'
import { readFileSync } from 'node:fs'
globalThis.self = globalThis
globalThis.ProgressEvent ??= class {}
const THREE = await import('three')
const { GLTFLoader } = await import('three/examples/jsm/loaders/GLTFLoader.js')
const { VRMLoaderPlugin } = await import('@pixiv/three-vrm')
const { VRMAnimationLoaderPlugin, createVRMAnimationClip } = await import('@pixiv/three-vrm-animation')

const [avatarPath, animationPath, times] = process.argv.slice(2)
const loader = new GLTFLoader()
loader.register((parser) => new VRMLoaderPlugin(parser))
loader.register((parser) => new VRMAnimationLoaderPlugin(parser))
async function load(path) {
  const data = readFileSync(path)
  return loader.parseAsync(data.buffer.slice(data.byteOffset, data.byteOffset + data.length), '')
}
const vrm = (await load(avatarPath)).userData.vrm
const animation = (await load(animationPath)).userData.vrmAnimations[0]
const mixer = new THREE.AnimationMixer(vrm.scene)
mixer.clipAction(createVRMAnimationClip(animation, vrm)).play()
const all = JSON.parse(times).map((seconds) => {
  mixer.setTime(seconds)
  vrm.update(0)
  vrm.scene.updateMatrixWorld(true)
  const places = {}
  for (const bone of Object.keys(vrm.humanoid.humanBones)) {
    places[bone] = vrm.humanoid.getRawBoneNode(bone).getWorldPosition(new THREE.Vector3()).toArray()
  }
  return places
})
console.log(JSON.stringify(all))
