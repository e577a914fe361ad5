/** The elevation of a pagoda as lines, storey by storey from the ground up. Pure geometry: x is 0 on the axis, y grows down. */

export interface Storey {
  /** Outline of the roof. */
  roof: string;
  /** Walls, columns and railing of the room below the roof. */
  room: string;
}

const round = (value: number): string => value.toFixed(1).replace(/\.0$/, '');
const point = (x: number, y: number): string => `${round(x)} ${round(y)}`;

interface Sizes {
  /** Half the width of the room, and of the eaves. */
  wall: number;
  eave: number;
  /** Heights of room and roof. */
  room: number;
  roof: number;
}

function storey(ground: number, sizes: Sizes, above: number): Storey {
  const { wall, eave, room, roof } = sizes;
  const ceiling = ground - room;
  const ridge = ceiling - roof;
  const lift = roof * 0.5;
  const side = (s: number): string =>
    `C${point(s * above * 1.06, ridge + roof * 0.42)} ${point(s * eave * 0.7, ceiling - roof * 0.16)} ${point(s * eave, ceiling - lift)}`;
  // From the ridge down to the upturned tip, along the eave, and up the other side.
  const outline =
    `M${point(-above, ridge)}${side(-1)}` +
    `C${point(-eave * 0.86, ceiling - roof * 0.06)} ${point(-eave * 0.7, ceiling)} ${point(-wall, ceiling)}` +
    `H${round(wall)}` +
    `C${point(eave * 0.7, ceiling)} ${point(eave * 0.86, ceiling - roof * 0.06)} ${point(eave, ceiling - lift)}` +
    `C${point(eave * 0.7, ceiling - roof * 0.16)} ${point(above * 1.06, ridge + roof * 0.42)} ${point(above, ridge)}Z`;
  const columns = [-1, -0.36, 0.36, 1].map((share) => `M${point(share * wall * 0.86, ceiling)}V${round(ground)}`).join('');
  const railing = `M${point(-wall, ground - room * 0.28)}H${round(-wall * 0.31)}M${point(wall * 0.31, ground - room * 0.28)}H${round(wall)}`;
  return { roof: outline, room: columns + railing };
}

/** Storeys of a tower of `count`, standing on y = 0, and its spire. Each is smaller than the one below by `taper`. */
export function tower(count: number, taper = 0.87): { storeys: Storey[]; spire: string; height: number } {
  const storeys: Storey[] = [];
  let scale = 1;
  let ground = 0;
  for (let level = 0; level < count; level++) {
    const sizes = { wall: 34 * scale, eave: 62 * scale, room: 19 * scale, roof: 17 * scale };
    const top = level === count - 1;
    storeys.push(storey(ground, sizes, top ? 1.2 : 34 * scale * taper));
    ground -= sizes.room + sizes.roof;
    scale *= taper;
  }
  const rings = [7, 11, 15].map((y, index) => `M${point(-3.4 + index * 0.8, ground - y)}H${round(3.4 - index * 0.8)}`).join('');
  const spire = `M0 ${round(ground)}V${round(ground - 26)}${rings}`;
  return { storeys, spire, height: 26 - ground };
}
