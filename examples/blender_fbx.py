"""FBX out of a GLB export, by Blender: run with Blender's Python, not with diorama's.

    diorama export out --to glb --fps 30
    blender --background --python examples/blender_fbx.py -- out/export/world.glb world.fbx --fps 30

The rate has to be that of the export, so that key frames fall on whole frames of Blender's timeline. Skeletons, skinned
meshes and the camera with its motion are saved; the scene's points are left out, because FBX knows no point clouds.
Blender 3.6 or newer.
"""

from __future__ import annotations

import argparse
import sys

import bpy


def arguments() -> argparse.Namespace:
    """What stands behind the double dash; Blender keeps the rest for itself."""
    parser = argparse.ArgumentParser(prog="blender_fbx.py")
    parser.add_argument("glb")
    parser.add_argument("fbx")
    parser.add_argument("--fps", type=float, default=30.0)
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    return parser.parse_args(words)


def set_rate(fps: float) -> None:
    """Blender has a whole number and a divisor: 23.976 is 24 / 1.001."""
    scene = bpy.context.scene
    scene.render.fps = max(1, round(fps))
    scene.render.fps_base = scene.render.fps / fps


def show_whole_motion() -> None:
    """Let the timeline span all actions, because the exporter bakes what it spans."""
    ranges = [action.frame_range for action in bpy.data.actions]
    if ranges:
        bpy.context.scene.frame_start = int(min(start for start, _ in ranges))
        bpy.context.scene.frame_end = round(max(end for _, end in ranges))


def leave_out_points() -> None:
    """Meshes without faces."""
    for thing in list(bpy.data.objects):
        if thing.type == "MESH" and not thing.data.polygons:
            bpy.data.objects.remove(thing, do_unlink=True)


def main() -> None:
    options = arguments()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    set_rate(options.fps)
    bpy.ops.import_scene.gltf(filepath=options.glb)
    leave_out_points()
    show_whole_motion()
    bpy.ops.export_scene.fbx(
        filepath=options.fbx,
        object_types={"ARMATURE", "MESH", "CAMERA", "EMPTY"},
        add_leaf_bones=False,
        bake_anim_simplify_factor=0.0,
        axis_forward="-Z",
        axis_up="Y",
    )


if __name__ == "__main__":
    main()
