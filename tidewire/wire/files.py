"""Files as rows and as clients see them. Source: Mattermost API v4, FileInfo, UploadSession."""

from msgspec import Struct, field


class FileInfo(Struct, omit_defaults=True):
    """A file as clients get it. What has no default is always sent, the rest where it is not empty."""

    id: str
    user_id: str
    channel_id: str
    create_at: int
    update_at: int
    delete_at: int
    name: str
    extension: str
    size: int
    mime_type: str
    mini_preview: bytes | None  # JPEG; base64 in JSON
    remote_id: str | None
    archived: bool
    post_id: str = ""
    width: int = 0
    height: int = 0
    has_preview_image: bool = False


class StoredFile(Struct):
    """A file's row, in the order of its columns."""

    id: str
    user_id: str
    channel_id: str
    post_id: str
    create_at: int
    update_at: int
    delete_at: int
    name: str
    extension: str
    size: int
    mime_type: str
    shown_as: str  # the media type if a browser may show it; else ""
    width: int
    height: int
    thumbnail: str  # media types of the smaller pictures; "" where there is none
    preview: str
    mini_preview: bytes | None
    sha256: bytes
    key: str

    @property
    def thumbnail_key(self) -> str:
        """The object of the thumbnail."""
        return self.key + ".thumbnail"

    @property
    def preview_key(self) -> str:
        """The object of the preview."""
        return self.key + ".preview"

    @property
    def keys(self) -> list[str]:
        """All objects of the file."""
        small = [self.thumbnail_key] if self.thumbnail else []
        return [self.key, *small, *([self.preview_key] if self.preview else [])]

    def info(self) -> FileInfo:
        """Return what clients see."""
        return FileInfo(
            id=self.id,
            user_id=self.user_id,
            channel_id=self.channel_id,
            create_at=self.create_at,
            update_at=self.update_at,
            delete_at=self.delete_at,
            name=self.name,
            extension=self.extension,
            size=self.size,
            mime_type=self.mime_type,
            mini_preview=self.mini_preview,
            remote_id="",
            archived=False,
            post_id=self.post_id,
            width=self.width,
            height=self.height,
            has_preview_image=bool(self.preview),
        )


class FileUploads(Struct):
    """The answer to an upload. Source: Mattermost API v4, FileUploadResponse."""

    file_infos: list[FileInfo]
    client_ids: list[str]


class UploadSession(Struct):
    """An upload in several requests."""

    id: str
    type: str
    create_at: int
    user_id: str
    channel_id: str
    filename: str
    file_size: int
    file_offset: int = 0
    remote_id: str = ""
    req_file_id: str = ""


class StoredUpload(UploadSession):
    """An upload session's row: with the objects that hold what has come."""

    keys: list[str] = field(default_factory=list)
