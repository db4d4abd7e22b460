"""Small pictures in every format idat decodes, as Pillow writes them, with the pixels Pillow reads from them."""
import base64
import io
import json
import sys

import numpy as np
from PIL import Image

y, x = np.mgrid[0:10, 0:13]
RGB = Image.fromarray(np.stack([x * 19, y * 25, (x * y * 7) % 256], -1).astype('uint8'))
RGBA = Image.merge('RGBA', (*RGB.split(), Image.fromarray((x * 19).astype('uint8'))))
TURNED = [RGB.rotate(90 * turns) for turns in range(3)]
SIX = Image.Exif()
SIX[0x112] = 6

cases = {}


def add(name, image, kind, tolerance=0, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    take(name, file.getvalue(), tolerance)


def take(name, data, tolerance=0):
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))
    cases[name] = {
        'file': base64.b64encode(data).decode(),
        'shape': list(pixels.shape),
        'pixels': base64.b64encode(pixels.tobytes()).decode(),
        'tolerance': tolerance,
    }


add('GIF', RGB, 'GIF')
add('GIF, gray', RGB.convert('L'), 'GIF')
add('GIF, animated', TURNED[0], 'GIF', save_all=True, append_images=TURNED[1:])
for compression in ('raw', 'packbits', 'tiff_lzw', 'tiff_deflate', 'jpeg'):
    add(f'TIFF, {compression}', RGB, 'TIFF', compression=compression)
add('TIFF, gray', RGB.convert('L'), 'TIFF')
add('TIFF, fax', RGB.convert('1'), 'TIFF', compression='group4')
add('TIFF, alpha', RGBA, 'TIFF')
add('TIFF, CMYK', RGB.convert('CMYK'), 'TIFF')
add('TIFF, palette', RGB.quantize(16), 'TIFF')
add('TIFF, pages', TURNED[0], 'TIFF', save_all=True, append_images=TURNED[1:])
add('TIFF, orientation 6', RGB, 'TIFF', exif=SIX)
add('TIFF, float', Image.fromarray((x * 19).astype('float32')), 'TIFF')
add('AVIF, full colour', RGB, 'AVIF', tolerance=1, quality=100, subsampling='4:4:4')
add('AVIF, gray', RGB.convert('L'), 'AVIF')
add('JPEG, MPO', TURNED[0], 'MPO', save_all=True, append_images=TURNED[1:])
add('PNG, animated', TURNED[0], 'PNG', save_all=True, append_images=TURNED[1:])
add('BMP', RGB, 'BMP')
add('BMP, gray', RGB.convert('L'), 'BMP')
add('BMP, palette', RGB.quantize(16), 'BMP')
add('BMP, one bit', RGB.convert('1'), 'BMP')
add('BMP, alpha', RGBA, 'BMP')


def bmp(bits, compression, rows, extra=b'', height=2, width=3):
    header = np.array([width, height], '<i4').tobytes() + np.array([1, bits], '<u2').tobytes()
    header += np.array([compression, 0, 0, 0, 0, 0], '<u4').tobytes()
    start = 54 + len(extra)
    return b'BM' + np.array([start + len(rows), 0, start, 40], '<u4').tobytes() + header + extra + rows


SIXTEEN = np.array([0x7FFF, 0x001F, 0x03E0, 0, 0x7C00, 0x1234, 0x5678, 0], '<u2').tobytes()
take('BMP, 16 bits', bmp(16, 0, SIXTEEN))
take('BMP, 16 bits in masks', bmp(16, 3, SIXTEEN, np.array([0xF800, 0x7E0, 0x1F], '<u4').tobytes()))
take('BMP, from the top down', bmp(24, 0, bytes(range(9)) + b'\0\0\0' + bytes(range(20, 29)) + b'\0\0\0', height=-2))
take('BMP, 4 bits', bmp(4, 0, b'\x01\x20\0\0\x21\x10\0\0', bytes([1, 2, 3, 0, 40, 50, 60, 0, 7, 8, 9, 0] + [0] * 52)))
add('PPM', RGB, 'PPM')
add('PGM', RGB.convert('L'), 'PPM')
add('PBM', RGB.convert('1'), 'PPM')
take('PPM, plain', b'P3 # by hand\n2 1\n# white\n255\n1 2 3  40 50\n60\n')
take('PGM, plain, up to 15', b'P2\n3 1 15\n0 7 15\n')
take('PBM, plain', b'P1\n3 2\n010\n1 0 1\n')

json.dump(cases, open(sys.argv[1], 'w'), indent=1)
