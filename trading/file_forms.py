"""What people send with a file of fills."""

from django import forms

from trading.services.files import LARGEST, custodians_by_file


class FillsForm(forms.Form):
    custodian = forms.ModelChoiceField(
        custodians_by_file(),
        label="Custodian",
        empty_label=None,
        widget=forms.Select(attrs={"class": "form-select"}),
        error_messages={"required": "Choose whose file it is.", "invalid_choice": "No files go to this custodian."},
    )
    file = forms.FileField(
        label="File of fills",
        widget=forms.FileInput(attrs={"class": "form-control", "accept": ".csv,text/csv"}),
        error_messages={"required": "Choose a file.", "empty": "This file is empty."},
        max_length=200,
    )

    def clean_file(self):
        found = self.cleaned_data["file"]
        if found.size > LARGEST:
            raise forms.ValidationError(f"A file has {LARGEST:,} bytes at most: send it in parts.")
        return found
