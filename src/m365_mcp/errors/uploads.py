"""Errors of a file upload; a part of the tree in `errors.base`.

InvalidArgument            invalid_argument
  UploadLinkUnknown        upload_link_unknown
  UploadLinkEnded          upload_link_ended           used already, or expired
  UploadRunning            upload_running
  LengthNeeded             length_needed
  FileIsProgram            file_is_program
  FileTooLarge             file_too_large
  UploadIncomplete         upload_incomplete           another size than announced
    UploadBrokenOff        upload_broken_off           the client closed the connection, or sent nothing more
  AttachmentsMissing       attachments_missing         not sent, because a file has not arrived
  DraftUnknown             draft_unknown
MessageRefused
  FileRefused              file_refused                Microsoft refused the file
"""

from __future__ import annotations

from m365_mcp.errors.base import InvalidArgument, MessageRefused


class UploadLinkUnknown(InvalidArgument):
    """No such link exists, or it expired long ago."""

    code = "upload_link_unknown"
    title = "No file can be uploaded here"
    sentence = "There is no such upload link."
    advice = "Check that the whole link was copied. For a new link, call attach_files again."
    for_person = "Check that the whole link was copied, or ask your assistant for a new link."
    status = 404


class UploadLinkEnded(InvalidArgument):
    """The link was used already, or it has expired."""

    code = "upload_link_ended"
    title = "No file can be uploaded here any more"
    sentence = "This upload link was used already or has expired."
    advice = "For a new link, call attach_files again."
    for_person = "If the file is not in your mail yet, ask your assistant for a new link."
    status = 410


class UploadRunning(InvalidArgument):
    """Another upload through this link is running."""

    code = "upload_running"
    sentence = "Another upload through this link is running."
    advice = "Wait until it ends. If it was interrupted, try again in a few seconds."
    status = 409


class LengthNeeded(InvalidArgument):
    """The request has no Content-Length (RFC 9110 section 15.5.12)."""

    code = "length_needed"
    sentence = "The upload has no Content-Length."
    advice = (
        "Send the file with a Content-Length, not chunked. With curl, name the file (-T 'file') and do not pipe it."
    )
    status = 411


class FileIsProgram(InvalidArgument):
    """The file is a program or a script, by its first bytes, whatever its name is."""

    code = "file_is_program"
    sentence = "This file is a program and cannot be attached."
    advice = "Share it by a link, for example from OneDrive, instead of attaching it."


class FileTooLarge(InvalidArgument):
    """The file is larger than Exchange Online, or this mailbox, accepts."""

    code = "file_too_large"
    sentence = "The file is too large to be attached to a mail."
    advice = "Share it by a link, for example from OneDrive, or make it smaller."
    status = 413


class FileRefused(MessageRefused):
    """Microsoft refused the file, or its draft is gone."""

    code = "file_refused"
    sentence = "Microsoft refused the file."
    advice = "Upload the file again with the same link while it is valid, or start again with attach_files."
    for_person = "Choose the file again. If that does not help, ask your assistant for a new link."


class UploadIncomplete(InvalidArgument):
    """The file has another size than was announced."""

    code = "upload_incomplete"
    sentence = "The file does not have the size that was announced."
    advice = "Upload the whole file that was named to attach_files; the link still works."
    for_person = "Choose the file that your assistant asked for. The link still works."


class UploadBrokenOff(UploadIncomplete):
    """The client closed the connection during the upload, or sent nothing for too long."""

    code = "upload_broken_off"
    sentence = "The upload was interrupted before its end."
    advice = "Upload the file again with the same link before it expires."
    for_person = "Choose the file again. The link still works."
    status = 408


class AttachmentsMissing(InvalidArgument):
    """At least one announced file has not arrived, or is no longer in the draft."""

    code = "attachments_missing"
    sentence = "Not every file has arrived."
    advice = (
        "Have the missing files uploaded, then call send_with_attachments again. "
        "If a link has expired, or the person removed a file in Outlook, call attach_files."
    )
    title = "A file is missing"
    for_person = "Tell your assistant that a file is missing. Nothing was sent."
    status = 409


class DraftUnknown(InvalidArgument):
    """The person has no draft with this id that attach_files made within a day."""

    code = "draft_unknown"
    sentence = "attach_files made no draft with this draft_id for this person within a day."
    advice = "Use the draft_id that attach_files returned, or call attach_files again."
    status = 404
