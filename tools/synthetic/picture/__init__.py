"""Pictures: a scene, its people and a fisheye lens in, frames with their joints out."""
