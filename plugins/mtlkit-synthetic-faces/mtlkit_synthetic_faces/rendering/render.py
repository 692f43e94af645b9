"""Rendering of one subject in one session, from the plan's rows to pictures."""

from functools import cached_property

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces import atlas, hair, skin
from mtlkit_synthetic_faces.accessories import Worn, draw_accessories
from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.head import HAIR, HeadModel, vertex_normals
from mtlkit_synthetic_faces.plan import FacePlan
from mtlkit_synthetic_faces.protocol import DIFFERENT_LIGHTS, LIGHTS, POSES, Light
from mtlkit_synthetic_faces.rendering.background import wall, wall_light
from mtlkit_synthetic_faces.rendering.camera import Alignment, View, view_of
from mtlkit_synthetic_faces.rendering.degrade import spoil
from mtlkit_synthetic_faces.rendering.develop import develop, tone_curve
from mtlkit_synthetic_faces.rendering.gbuffer import GBuffer, Palette, resolve
from mtlkit_synthetic_faces.rendering.raster import FAR, visible_triangles
from mtlkit_synthetic_faces.rendering.scene import scene
from mtlkit_synthetic_faces.rendering.shade import Flash, light_up
from mtlkit_synthetic_faces.rendering.shadow import (
    REACH,
    Beam,
    Mesh,
    Room,
    beam_of,
    room_light,
    shadow_map,
)
from mtlkit_synthetic_faces.subject import (
    SessionTraits,
    SubjectTraits,
    draw_session,
    draw_subject,
    expression_units,
)

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
ROOM_ALONE, ROOM_UNDER_FLASH, FLASH = 1.1, 0.24, 1.3
_TURN, _WORN, _SCENE, _AFTER = 1001, 1002, 1003, 1004  # streams of random numbers
_ROOM_ON_WORN = 0.8  # the room's light on accessories, which nothing hides


@attrs.frozen(eq=False)
class Studio:
    """The data shared by all subjects of a face set: head model, atlas, scalp grid, lights."""

    faces: FaceSet
    model: HeadModel
    size: atlas.AtlasSize
    scalp: hair.Scalp
    rest_map: Floats
    triangles: npt.NDArray[np.int32]
    material: npt.NDArray[np.uint8]
    corners: Floats
    curve: Floats
    room: Room
    lights: tuple[Light, ...]
    beams: tuple[Beam, ...]

    @classmethod
    def open(cls, faces: FaceSet) -> "Studio":
        """Load the head model and size the textures for the set's pictures."""
        model = HeadModel.load()
        lights = LIGHTS if faces.style == 1 else DIFFERENT_LIGHTS
        size = atlas.AtlasSize.fitting(faces.size * faces.supersampling)
        scalp = hair.Scalp.of(model, over_ears=faces.style == 2)
        hair_corners = scalp.corners * np.array([size.width, size.hair - 1.01], np.float32)
        hair_corners[..., 1] += size.skin
        return cls(
            faces=faces,
            model=model,
            size=size,
            scalp=scalp,
            rest_map=atlas.rest_positions(model, size),
            triangles=np.concatenate([model.triangles, scalp.triangles + len(model.rest)]),
            material=np.concatenate(
                [model.material, np.full(len(scalp.triangles), HAIR, np.uint8)]
            ),
            corners=np.concatenate([atlas.corner_coordinates(model, size), hair_corners]).astype(
                np.float32
            ),
            curve=tone_curve(),
            room=Room.of(),
            lights=lights,
            beams=tuple(beam_of(light) for light in lights),
        )

    @property
    def shadow_texels(self) -> int:
        """The width of the shadow maps: about one texel a sample."""
        return 96 if self.faces.size * self.faces.supersampling <= 128 else 160


@attrs.frozen(eq=False)
class PhotoSession:
    """One subject in one session, ready to render."""

    studio: Studio
    number: int
    day: int
    subject: SubjectTraits
    session: SessionTraits

    @classmethod
    def of(cls, studio: Studio, number: int, day: int) -> "PhotoSession":
        """Draw subject `number` as of session `day`."""
        subject = draw_subject(studio.faces, number, studio.model)
        session = draw_session(studio.faces, number, day, subject)
        return cls(studio, number, day, subject, session)

    @cached_property
    def _neutral(self) -> Floats:
        return self.studio.model.vertices(self.subject.shape)

    @cached_property
    def _shell(self) -> Floats:
        return hair.shell(self.studio.scalp, self._neutral, self.session)

    @cached_property
    def alignment(self) -> Alignment:
        """The position of the neutral face."""
        return Alignment.of(self.studio.model, self._neutral)

    @cached_property
    def _painted(self) -> tuple[Floats, Floats]:
        """The texture (rows, width, C) in the set's channels, and its alpha (rows, width)."""
        studio = self.studio
        cover = hair.scalp_cover(studio.rest_map, self.session)
        paint = skin.paint_of(self.subject, self.session)
        bare = skin.skin_map(studio.rest_map, cover, paint)
        locks = hair.hair_map(studio.size, self.subject, self.session)
        texture = np.concatenate([bare, locks[..., :3]])
        alpha = np.concatenate([np.ones(bare.shape[:2], np.float32), locks[..., 3]])
        return self._in_channels(texture), alpha

    def _in_channels(self, color: npt.NDArray[np.floating]) -> Floats:
        """Convert linear RGB (..., 3) to the set's channels (..., C)."""
        if self.studio.faces.channels == 1:
            color = (color @ LUMINANCE)[..., None]
        return np.ascontiguousarray(color, np.float32)

    def palette(self, worn: Worn | None) -> Palette:
        """Return the colors of untextured parts."""
        tan = self.session.skin_gain
        return Palette(
            skin=self._in_channels(self.subject.skin * tan),
            lips=self._in_channels(self.subject.lips * tan),
            mouth=self._in_channels(np.array([0.16, 0.045, 0.04])),
            iris=self._in_channels(self.subject.iris),
            cloth=self._in_channels(self.session.cloth),
            neckline=self.session.neckline,
            worn=self._in_channels(np.zeros((4, 3)) if worn is None else worn.colors),
        )

    def worn(self, expression: int) -> Worn | None:
        """Draw the accessories of this session and an expression."""
        studio, random = self.studio, self.random(expression, _WORN)
        rate, model = studio.faces.accessories, studio.model
        return draw_accessories(model, studio.scalp, self._neutral, self._shell, rate, random)

    def mesh(self, expression: int, worn: Worn | None = None) -> Mesh:
        """Return the scene with an expression and what is worn."""
        studio = self.studio
        units = expression_units(self.subject, expression)
        head = studio.model.vertices(units, self._neutral)
        points = np.concatenate([head, self._shell])
        triangles, material, corners = studio.triangles, studio.material, studio.corners
        if worn is not None:
            triangles = np.concatenate([triangles, worn.triangles + np.int32(len(points))])
            points = np.concatenate([points, worn.points])
            material = np.concatenate([material, worn.material])
            corners = np.pad(corners, ((0, len(worn.triangles)), (0, 0), (0, 0)))
        return Mesh(
            points=points,
            normals=vertex_normals(points, triangles),
            triangles=triangles,
            material=material,
            corners=corners,
            alpha=self._painted[1],
        )

    @cached_property
    def room(self) -> Floats:
        """The room light (V,) at the vertices of the neutral scene, shared by all expressions."""
        return room_light(self.mesh(0), self.studio.room, self.alignment.middle)

    def random(self, *factors: int) -> np.random.Generator:
        """Return a generator seeded by subject, session and the `factors` of a picture."""
        return np.random.default_rng([self.studio.faces.seed, self.number, self.day, *factors])

    def view(self, expression: int, pose: int) -> View:
        """Return the view of a geometry, with its crop jitter."""
        faces = self.studio.faces
        draw = np.clip(self.random(expression, pose).normal(size=4), -2.5, 2.5)
        turn = np.clip(self.random(expression, pose, _TURN).normal(size=2), -2.5, 2.5)
        turn *= faces.jitter_deg
        samples, spread = faces.size * faces.supersampling, faces.jitter_px * faces.supersampling
        return view_of(
            POSES[pose],
            self.alignment,
            samples,
            jitter=(spread * draw[0], spread * draw[1]),
            roll=60 * faces.jitter_px / faces.size * draw[2],
            zoom=faces.zoom * (1 + 0.6 * faces.jitter_px / faces.size * draw[3]),
            turn=(float(turn[0]), float(turn[1])),
        )

    def geometry(self, mesh: Mesh, view: View, worn: Worn | None = None) -> GBuffer:
        """Return the G-buffer of a scene from a camera."""
        studio = self.studio
        samples = studio.faces.size * studio.faces.supersampling
        screen = view.project(mesh.points)
        worn_room = np.full(len(mesh.points) - len(self.room), _ROOM_ON_WORN, np.float32)
        room = np.concatenate([self.room, worn_room])
        depth = np.full((samples, samples), FAR, np.float32)
        nearest = np.full((samples, samples), -1, np.int32)
        visible_triangles(
            screen, mesh.triangles, mesh.material, mesh.corners, mesh.alpha, depth, nearest
        )
        return resolve(
            nearest, studio.faces.supersampling, screen, mesh.triangles, mesh.material,
            mesh.corners, self._painted[0], mesh.points, mesh.normals, studio.model.rest,
            studio.model.masks, room, view.toward, self.palette(worn),
        )  # fmt: skip

    def photographs(self, rows: FacePlan) -> Images:
        """Render pictures (N,C,H,W) of rows of this subject in this session."""
        faces = self.studio.faces
        out = np.empty((len(rows), faces.channels, faces.size, faces.size), np.uint8)
        for expression in np.unique(rows.expression).tolist():
            worn = self.worn(expression)
            mesh = self.mesh(expression, worn)
            shadows: dict[int, Floats] = {}
            same = rows.expression == expression
            for pose in np.unique(rows.pose[same]).tolist():
                view = self.view(expression, pose)
                buffer = self.geometry(mesh, view, worn)
                behind = wall(self.session, pose, faces.size, faces.channels)
                for row in np.flatnonzero(same & (rows.pose == pose)).tolist():
                    light = int(rows.light[row])
                    factors = (expression, pose, light)
                    self._expose(buffer, behind, mesh, view, shadows, factors, out[row])
        return out

    def _expose(
        self,
        buffer: GBuffer,
        behind: Floats,
        mesh: Mesh,
        view: View,
        shadows: dict[int, Floats],
        factors: tuple[int, int, int],
        out: Images,
    ) -> None:
        """Render one picture of a G-buffer under one light into `out` (C,H,W)."""
        faces = self.studio.faces
        number = factors[2]
        light = self.studio.lights[number]
        beam = self.studio.beams[number]
        middle = self.alignment.middle
        if number not in shadows:
            texels = self.studio.shadow_texels if light.flash else 2
            shadows[number] = shadow_map(mesh, beam, middle, texels)
        half = beam.direction + view.toward
        flash = Flash(
            strength=FLASH if light.flash else 0.0,
            room=ROOM_UNDER_FLASH if light.flash else ROOM_ALONE,
            direction=beam.direction,
            half=(half / max(float(np.linalg.norm(half)), 1e-6)).astype(np.float32),
            axes=beam.axes,
            depth=shadows[number],
            middle=middle,
            reach=REACH,
        )
        random = self.random(*factors)
        linear = np.empty((faces.channels, faces.size * faces.size), np.float32)
        if faces.style == 2:
            surroundings = self.random(*factors, _SCENE)
            flash = flash._replace(
                room=flash.room * float(np.exp(0.35 * surroundings.normal())),
                strength=flash.strength * float(np.exp(0.2 * surroundings.normal())),
            )
            behind = scene(surroundings, faces.size, faces.channels).reshape(faces.channels, -1)
        light_up(buffer, flash, behind, wall_light(light, factors[1]), linear)
        develop(
            linear.reshape(out.shape),
            self.session.gain * float(np.exp(faces.exposure * random.normal())),
            faces.blur,
            faces.noise,
            int(random.integers(1 << 30)),
            self.studio.curve,
            out,
        )
        if faces.occlusion or faces.degradation:
            spoil(out, faces, self.random(*factors, _AFTER))
