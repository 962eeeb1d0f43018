"""What can go wrong with a file that is to be uploaded and attached: a part of the tree in `errors`.

InvalidArgument            invalid_argument
  UploadLinkUnknown        upload_link_unknown
  UploadLinkEnded          upload_link_ended           used up, or too old
  UploadRunning            upload_running
  LengthNeeded             length_needed
  FileTooLarge             file_too_large
  UploadIncomplete         upload_incomplete           other bytes than were announced
    UploadBrokenOff        upload_broken_off           whoever uploaded has gone, or fallen silent
  AttachmentsMissing       attachments_missing         not sent, because files have not arrived
  DraftUnknown             draft_unknown
"""

from __future__ import annotations

from m365_mcp.errors.base import InvalidArgument


class UploadLinkUnknown(InvalidArgument):
    """There is no such link, or it is long over."""

    code = "upload_link_unknown"
    sentence = "There is no such upload link."
    advice = "Check that the whole link was copied; for a new one call attach_files again."
    status = 404


class UploadLinkEnded(InvalidArgument):
    """The link has done its work, or its time is over."""

    code = "upload_link_ended"
    sentence = "This upload link cannot be used any more."
    advice = "For a new link call attach_files again."
    status = 410


class UploadRunning(InvalidArgument):
    """Somebody is uploading through this link."""

    code = "upload_running"
    sentence = "A file is being uploaded through this link at this moment."
    advice = "Let it end; if it has been broken off, try again in a few seconds."
    status = 409


class LengthNeeded(InvalidArgument):
    """The request does not say how long the file is (RFC 9110 section 15.5.12)."""

    code = "length_needed"
    sentence = "The upload does not say how many bytes it has."
    advice = (
        "Send the file with a Content-Length, not in chunks; with curl, name the file (-T 'file') and do not pipe it."
    )
    status = 411


class FileTooLarge(InvalidArgument):
    """The file is larger than Exchange Online, or this mailbox, takes."""

    code = "file_too_large"
    sentence = "The file is larger than can be attached to a mail."
    advice = "Share it by a link, for example from OneDrive, or make it smaller."
    status = 413


class UploadIncomplete(InvalidArgument):
    """Other bytes arrived than were announced."""

    code = "upload_incomplete"
    sentence = "The file does not have the size that was announced."
    advice = "Upload the file that was named to attach_files, whole; the link is still good."


class UploadBrokenOff(UploadIncomplete):
    """Whoever uploaded has hung up in the middle, or has fallen silent."""

    code = "upload_broken_off"
    sentence = "The upload broke off before its end."
    advice = "Upload the file again with the same link while it is good."
    status = 408


class AttachmentsMissing(InvalidArgument):
    """Files that were announced have not arrived."""

    code = "attachments_missing"
    sentence = "Not every file has arrived."
    advice = (
        "Have them uploaded, then call send_with_attachments again; when a link has expired, begin with attach_files."
    )
    status = 409


class DraftUnknown(InvalidArgument):
    """The person has no draft of this id that attach_files has made lately."""

    code = "draft_unknown"
    sentence = "There is no draft of this person with this draft_id that attach_files has made within a day."
    advice = "Use the draft_id that attach_files returned, or call attach_files again."
    status = 404
