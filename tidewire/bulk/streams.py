"""What can go wrong while bytes come out of a file or an archive."""

import zipfile
import zlib

READ_ERRORS = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)
