import { only, plain, type ZooType } from './zoo-type.ts';

const wkt = (text: string, srid = '') => `ST_GeomFromText('${text}'${srid === '' ? '' : `, ${srid}`})`;

export const SPATIAL_TYPES: ZooType[] = [
  ...plain('GEOMETRY and its types, SRID 0', {
    gg: [
      'GEOMETRY',
      wkt('POINT(1.5 -2)'),
      wkt('GEOMETRYCOLLECTION(POINT(0 0),LINESTRING(1 1,2 2))'),
      wkt('GEOMETRYCOLLECTION EMPTY'),
    ],
    gp: ['POINT', wkt('POINT(-0 1e300)'), wkt('POINT(1 2)')],
    gl: ['LINESTRING', wkt('LINESTRING(0 0,1 1,2 2)'), wkt('LINESTRING(0 0,1e-300 -0)')],
    gy: ['POLYGON', wkt('POLYGON((0 0,0 9,9 9,0 0),(1 2,1 3,2 3,1 2))'), wkt('POLYGON((0 0,0 1,1 1,0 0))')],
    gmp: ['MULTIPOINT', wkt('MULTIPOINT(0 0,1 1)'), wkt('MULTIPOINT(0 0)')],
    gml: ['MULTILINESTRING', wkt('MULTILINESTRING((0 0,1 1),(2 2,3 3))'), wkt('MULTILINESTRING((0 0,1 1))')],
    gmy: ['MULTIPOLYGON', wkt('MULTIPOLYGON(((0 0,0 1,1 1,0 0)))'), wkt('MULTIPOLYGON(((0 0,0 2,2 2,0 0)))')],
    gc: ['GEOMETRYCOLLECTION', wkt('GEOMETRYCOLLECTION(POINT(1 1),MULTIPOINT(2 2))'), wkt('GEOMETRYCOLLECTION EMPTY')],
  }),
  ...only(
    'mysql',
    plain('GEOMETRY with an SRID, and nested collections', {
      gs: ['GEOMETRY', wkt('POINT(1 2)', '4326'), wkt('POINT(1 2)', '3857'), wkt('LINESTRING(10 20,30 40)', '4326')],
      gn: [
        'GEOMETRYCOLLECTION',
        wkt('GEOMETRYCOLLECTION(POINT(1 1),GEOMETRYCOLLECTION(POINT(2 2)))'),
        wkt('GEOMETRYCOLLECTION(GEOMETRYCOLLECTION EMPTY)', '4326'),
      ],
      gr: ['POINT SRID 4326', wkt('POINT(-90 180)', '4326'), wkt('POINT(48.2 16.4)', '4326')],
    }),
  ),
  ...only(
    'mariadb',
    plain('GEOMETRY with an SRID, and nested collections', {
      gs: ['GEOMETRY', wkt('POINT(1 2)', '4326'), wkt('POINT(1 2)', '3857')],
    }),
  ),
];

export const VECTORS: ZooType[] = [
  ...only(
    'mysql',
    plain('VECTOR', { ve: ['VECTOR(3)', "X'0000803F0000004000004040'", "X'FFFF7F7F0000008001000000'"] }),
  ),
  ...only(
    'mariadb-11.8',
    plain('VECTOR', { ve: ['VECTOR(3)', "X'0000803F0000004000004040'", "X'FFFF7F7F0000008001000000'"] }),
  ),
];
