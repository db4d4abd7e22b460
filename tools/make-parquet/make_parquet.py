"""Small Parquet files of images, as the hub's datasets library lays them out and as others do."""
import io
import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

OUT = sys.argv[1]
NAMES = ['red fox', 'dog', 'eel']
FEATURES = {'image': {'_type': 'Image'}, 'label': {'names': NAMES, '_type': 'ClassLabel'}}


def png(level):
    file = io.BytesIO()
    Image.new('L', (1, 1), level).save(file, 'PNG')
    return file.getvalue()


def write(name, rows, columns=('image', 'label'), hub=True, kind=None, **options):
    struct = pa.struct([('bytes', pa.binary()), ('path', pa.string())])
    images = pa.array([{'bytes': png(level), 'path': f'{level}.png'} for level, _ in rows], struct)
    table = pa.table({columns[0]: images, columns[1]: pa.array([label for _, label in rows], kind or pa.int64())})
    if hub:
        table = table.replace_schema_metadata({'huggingface': json.dumps({'info': {'features': FEATURES}})})
    path = os.path.join(OUT, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pq.write_table(table, path, row_group_size=4, **options)


write('hub/data/train-00000-of-00002.parquet', [(i, i % 3) for i in range(10)])
write('hub/data/train-00001-of-00002.parquet', [(i, i % 3) for i in range(10, 15)])
write('hub/data/test-00000-of-00001.parquet', [(i, i % 3) for i in range(100, 106)], compression='gzip')
write('unnamed/test-00000-of-00001.parquet', [(i, -1) for i in range(3)])
write('plain/pets.parquet', [(i, i % 2) for i in range(12)], ('img', 'fine_label'), hub=False, compression='brotli')
write('words/pets.parquet', [(i, ['dog', 'cat'][i % 2]) for i in range(12)], ('img', 'label'), False, pa.string(), compression='none')
write('zstd/pets.parquet', [(i, i % 2) for i in range(12)], compression='zstd')
